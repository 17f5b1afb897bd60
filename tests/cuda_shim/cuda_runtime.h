// Runs CUDA kernels on the CPU, under g++, in place of the toolkit's header of this name: every
// thread of a launch is a call, in an order drawn at random, so that kernels whose threads depend
// on each other give other results from one order to the next.
//
// It knows nothing that makes threads meet (__syncthreads, shared memory, shuffles, atomics): a
// kernel that uses them does not compile here until this header learns them. Launch limits,
// alignment and memory order are not modeled either.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#define __global__
#define __device__
#define __host__

using std::max;
using std::min;

struct Index {
  unsigned x;
};
inline Index blockIdx, blockDim, threadIdx;

// Of the next launches; the caller sets it.
inline unsigned schedule = 0;

#define ISP_META_UNROLL
#define ISP_META_LAUNCH(kernel, blocks, threads, stream, ...)   \
  do {                                                          \
    (void)(stream);                                             \
    run_threads(blocks, threads, [=] { kernel(__VA_ARGS__); }); \
  } while (false)

template <class F>
void run_threads(unsigned blocks, unsigned threads, const F& kernel) {
  std::vector<uint64_t> order(uint64_t(blocks) * threads);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(schedule));
  blockDim.x = threads;
  for (const uint64_t i : order) {
    blockIdx.x = unsigned(i / threads);
    threadIdx.x = unsigned(i % threads);
    kernel();
  }
}

enum cudaError_t { cudaSuccess };
using cudaStream_t = void*;

inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "no error"; }

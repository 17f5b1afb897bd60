// Runs CUDA kernels on the CPU, under g++, in place of the toolkit's header of this name: every
// thread is a fiber, which runs to the next __syncthreads or its end. Groups of threads, and
// between two of these points the threads of a group, come in an order drawn at random, so that
// kernels whose threads depend on each other without meeting give other results from one order to
// the next.
//
// It knows no shuffles and no atomics: a kernel that uses them does not compile here until this
// header learns them. Launch limits, alignment and memory order are not modeled either.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#define __global__
#define __device__
#define __host__
// One group of threads runs at a time.
#define __shared__ static

using std::max;
using std::min;

struct Index {
  unsigned x;
};
inline Index blockIdx, blockDim, threadIdx;

// Of the next launches; the caller sets it.
inline unsigned schedule = 0;

#define ISP_META_LAUNCH(kernel, blocks, threads, stream, ...)   \
  do {                                                          \
    (void)(stream);                                             \
    run_threads(blocks, threads, [=] { kernel(__VA_ARGS__); }); \
  } while (false)

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 16);
  bool done;
};
inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline const void* running;

inline void __syncthreads() { swapcontext(&fibers[threadIdx.x].context, &scheduler); }

template <class F>
void run_fiber() {
  (*static_cast<const F*>(running))();
  fibers[threadIdx.x].done = true;
}

// Apart, for what getcontext may come back to must keep no variable in a register.
__attribute__((noinline)) inline void prepare(Fiber& fiber, void (*start)()) {
  getcontext(&fiber.context);
  fiber.context.uc_stack = {fiber.stack.data(), 0, fiber.stack.size()};
  fiber.context.uc_link = &scheduler;
  makecontext(&fiber.context, start, 0);
  fiber.done = false;
}

template <class F>
void run_group(unsigned threads, std::mt19937& random, const F& kernel) {
  running = &kernel;
  for (unsigned i = 0; i < threads; ++i) prepare(fibers[i], run_fiber<F>);
  std::vector<unsigned> order(threads);
  std::iota(order.begin(), order.end(), 0);
  for (unsigned done = 0; done < threads;) {
    std::shuffle(order.begin(), order.end(), random);
    for (const unsigned i : order) {
      threadIdx.x = i;
      swapcontext(&scheduler, &fibers[i].context);
      done += fibers[i].done;
    }
    if (done == 0 || done == threads) continue;
    std::fputs("threads ended while others of their group waited at __syncthreads\n", stderr);
    std::abort();
  }
}

template <class F>
void run_threads(unsigned blocks, unsigned threads, const F& kernel) {
  std::mt19937 random(schedule);
  std::vector<unsigned> order(blocks);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  if (fibers.size() < threads) fibers.resize(threads);
  blockDim.x = threads;
  for (const unsigned i : order) {
    blockIdx.x = i;
    run_group(threads, random, kernel);
  }
}

enum cudaError_t { cudaSuccess };
using cudaStream_t = void*;

inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "no error"; }

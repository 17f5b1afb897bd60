// Runs CUDA kernels on the CPU, under g++, in place of the toolkit's header of this name: every
// thread is a fiber, which runs to the next __syncthreads or its end. Groups of threads, and
// between two of these points the threads of a group, come in an order drawn at random, so that
// kernels whose threads depend on each other without meeting give other results from one order to
// the next.
//
// It knows no shuffles and no atomics: a kernel that uses them does not compile here until this
// header learns them. Of launch limits it knows the groups along y and z, and shared memory that
// was not asked for; alignment and memory order are not modeled.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <climits>
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

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline dim3 blockIdx, gridDim, blockDim, threadIdx;

// Of the next launches; the caller sets it.
inline unsigned schedule = 0;

#define ISP_META_LAUNCH(kernel, blocks, threads, shared, stream, ...)      \
  do {                                                                     \
    (void)(stream);                                                        \
    const auto launched_ = shared;                                         \
    run_threads(blocks, threads, launched_, [=] { kernel(__VA_ARGS__); }); \
  } while (false)

// As long as the launch says, so that the sanitizer sees what is beyond.
inline std::vector<std::uint64_t> shared_bytes_;
template <class A>
A* shared_memory() {
  return reinterpret_cast<A*>(shared_bytes_.data());
}

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 16);
  bool done;
};
inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline const void* running;

inline void fail(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::abort();
}

inline void __syncthreads() { swapcontext(&fibers[threadIdx.x].context, &scheduler); }

inline void __syncwarp() {
  if (blockDim.x > 32) fail("__syncwarp in a group of more than one warp is not modeled");
  __syncthreads();
}

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
    fail("threads ended while others of their group waited for them");
  }
}

// Bytes of shared memory that the next launch may use; without asking 48 KB.
inline unsigned granted = 48 << 10;

template <class F>
void run_threads(dim3 blocks, unsigned threads, unsigned shared, const F& kernel) {
  if (blocks.x > INT_MAX || blocks.y > 65535 || blocks.z > 65535) fail("too many groups");
  if (threads > 1024) fail("too many threads in a group");
  if (shared > granted) fail("more shared memory than was asked for");
  std::mt19937 random(schedule);
  std::vector<unsigned> order(blocks.x * blocks.y * blocks.z);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  if (fibers.size() < threads) fibers.resize(threads);
  blockDim.x = threads, gridDim = blocks;
  for (const unsigned i : order) {
    blockIdx = {i % blocks.x, i / blocks.x % blocks.y, i / blocks.x / blocks.y};
    shared_bytes_ = std::vector<std::uint64_t>((shared + 7) / 8);
    run_group(threads, random, kernel);
  }
  granted = 48 << 10;
}

enum cudaError_t { cudaSuccess };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
using cudaStream_t = void*;

// What sm_86 and sm_120 have, which is the least.
template <class F>
cudaError_t cudaFuncSetAttribute(F, cudaFuncAttribute, int bytes) {
  if (bytes > 99 << 10) fail("more shared memory than a GPU has");
  granted = unsigned(bytes);
  return cudaSuccess;
}

// The device that is set, and how often one was: each time takes memory on a GPU.
inline int current_device = 0, devices_set = 0;
inline cudaError_t cudaGetDevice(int* device) { return *device = current_device, cudaSuccess; }
inline cudaError_t cudaSetDevice(int device) {
  return current_device = device, ++devices_set, cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "no error"; }

// Launching kernels. Only .cu files include this; nothing here knows torch, so that building the
// kernels needs no CUDA build of it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "dtype.h"
#include "grid.h"

// A header that runs kernels without a GPU brings its own.
#ifndef ISP_META_LAUNCH
#define ISP_META_LAUNCH(kernel, blocks, threads, shared, stream, ...) \
  kernel<<<blocks, threads, shared, stream>>>(__VA_ARGS__)

// The shared memory that the launch asked for.
template <class A>
__device__ inline A* shared_memory() {
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<A*>(bytes);
}
#endif

namespace isp_meta {

constexpr int kThreads = 256, kWarp = 32;
// Of pixels, for the threads of a group: a warp reads whole lines of the cache.
constexpr int kPatchCols = kWarp, kPatchRows = kThreads / kWarp;
// Of groups of threads, along y.
constexpr int64_t kMostAlongY = 65535;

template <>
struct Accumulate<__half> {
  using type = float;
};
template <>
struct Accumulate<__nv_bfloat16> {
  using type = float;
};

__device__ inline int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

// Rows of groups of threads are counted along y, then z: of all pictures of a batch, one after the
// other. The last of them may be beyond the batch.
__device__ inline unsigned row_of_groups() { return blockIdx.z * gridDim.y + blockIdx.y; }

// The pixel of a thread, kPatchRows lines a row of groups, and its block of the picture.
struct Pixel {
  unsigned batch;
  int y, x;

  __device__ Pixel(Grid grid) {
    const unsigned rows = unsigned(grid.height - 1) / kPatchRows + 1, row = row_of_groups();
    batch = row / rows;
    y = int(row % rows * kPatchRows + threadIdx.x / kPatchCols);
    x = int(blockIdx.x * kPatchCols + threadIdx.x % kPatchCols);
  }

  __device__ bool exists(Grid grid, int64_t pictures) const {
    return batch < pictures && y < grid.height && x < grid.width;
  }
  __device__ int64_t at(Grid grid) const { return int64_t(y) * grid.width + x; }
  __device__ int by(Grid grid) const { return int(unsigned(y) / unsigned(grid.cell)); }
  __device__ int bx(Grid grid) const { return int(unsigned(x) / unsigned(grid.cell)); }
};

// The cell of a row of groups, one row of cells each, in column x.
__device__ inline Cell cell_in_row(Grid grid, int x) {
  const unsigned row = row_of_groups(), rows = unsigned(grid.rows());
  return Cell(grid, row / rows, int(row % rows), x);
}

// Calls run(T{}, blocks, stream) with the element type, the groups of threads that are `across` and
// `rows` many, on the device asked for. Returns the error's text, or null.
template <class F>
const char* launch(const Launch& on, int64_t across, int64_t rows, const F& run) {
  if (across == 0 || rows == 0) return nullptr;
  const int64_t along_y = rows < kMostAlongY ? rows : kMostAlongY;
  const int64_t along_z = (rows - 1) / along_y + 1;
  if (across > INT32_MAX || along_z > kMostAlongY) return "the tensor is too large for one launch";
  int before = 0;
  cudaError_t error = cudaGetDevice(&before);
  // Only where it is another: on a device that is set, CUDA takes memory, needed or not.
  if (error == cudaSuccess && before != on.device) error = cudaSetDevice(on.device);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const auto stream = static_cast<cudaStream_t>(on.stream);
  const dim3 blocks{unsigned(across), unsigned(along_y), unsigned(along_z)};
  switch (on.dtype) {
    case Dtype::kFloat32:
      run(float{}, blocks, stream);
      break;
    case Dtype::kFloat64:
      run(double{}, blocks, stream);
      break;
    case Dtype::kFloat16:
      run(__half{}, blocks, stream);
      break;
    case Dtype::kBFloat16:
      run(__nv_bfloat16{}, blocks, stream);
      break;
  }
  error = cudaGetLastError();
  if (before != on.device) {
    const cudaError_t restored = cudaSetDevice(before);
    if (error == cudaSuccess) error = restored;
  }
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

inline int64_t groups_of(int64_t count, int each) { return (count + each - 1) / each; }

// A thread for each of `count` in `rows` rows.
template <class F>
const char* launch_threads(const Launch& on, int64_t count, int64_t rows, const F& run) {
  return launch(on, groups_of(count, kThreads), rows, run);
}

// A thread a pixel.
template <class F>
const char* launch_pixels(const Launch& on, int64_t batch, Grid grid, const F& run) {
  return launch(on, groups_of(grid.width, kPatchCols), batch * groups_of(grid.height, kPatchRows),
                run);
}

}  // namespace isp_meta

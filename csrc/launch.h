// Launching kernels, one thread an output. Only .cu files include this; nothing here knows torch,
// so that building the kernels needs no CUDA build of it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "dtype.h"

// A header that runs kernels without a GPU brings its own.
#ifndef ISP_META_LAUNCH
#define ISP_META_LAUNCH(kernel, blocks, threads, stream, ...) \
  kernel<<<blocks, threads, 0, stream>>>(__VA_ARGS__)
#endif

namespace isp_meta {

constexpr int kThreads = 256;

template <>
struct Accumulate<__half> {
  using type = float;
};
template <>
struct Accumulate<__nv_bfloat16> {
  using type = float;
};

__device__ inline int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

// Calls run(T{}, blocks, stream) with the element type, the blocks that `count` threads take, on
// the device asked for. Returns the error's text, or null.
template <class F>
const char* launch(const Launch& on, int64_t count, const F& run) {
  if (count == 0) return nullptr;
  const int64_t blocks = (count - 1) / kThreads + 1;
  if (blocks > INT32_MAX) return "the tensor is too large for one launch";
  int before = 0;
  cudaError_t error = cudaGetDevice(&before);
  if (error == cudaSuccess) error = cudaSetDevice(on.device);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const auto stream = static_cast<cudaStream_t>(on.stream);
  switch (on.dtype) {
    case Dtype::kFloat32:
      run(float{}, unsigned(blocks), stream);
      break;
    case Dtype::kFloat64:
      run(double{}, unsigned(blocks), stream);
      break;
    case Dtype::kFloat16:
      run(__half{}, unsigned(blocks), stream);
      break;
    case Dtype::kBFloat16:
      run(__nv_bfloat16{}, unsigned(blocks), stream);
      break;
  }
  error = cudaGetLastError();
  const cudaError_t restored = cudaSetDevice(before);
  if (error == cudaSuccess) error = restored;
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace isp_meta

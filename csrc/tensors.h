// From torch tensors to plain pointers: what the operators' glue shares. Python checks arguments
// with friendlier words; the checks here keep a direct caller of torch.ops inside memory.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "dtype.h"
#include "grid.h"

namespace isp_meta {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// A larger side would overflow the coordinates of a Grid.
constexpr int64_t kLargestSide = int64_t(1) << 30;

inline Grid grid_of(const Tensor& pixels, int64_t cell) {
  STD_TORCH_CHECK(pixels.dim() == 4, "a picture has 4 dimensions, not ", pixels.dim());
  const int64_t height = pixels.size(2), width = pixels.size(3);
  STD_TORCH_CHECK(height >= 1 && width >= 1, "the picture is empty");
  STD_TORCH_CHECK(std::max(height, width) <= kLargestSide, "the picture is too large");
  STD_TORCH_CHECK(cell >= 1, "cell must be >= 1, not ", cell);
  // One cell covers the picture either way.
  cell = std::min(cell, std::max(height, width));
  return {int(height), int(width), int(cell)};
}

inline void check_shape(const Tensor& tensor, std::initializer_list<int64_t> shape) {
  STD_TORCH_CHECK(std::ranges::equal(tensor.sizes(), shape), "shapes do not fit each other");
}

inline ScalarType center_dtype(const Tensor& pixels) {
  return pixels.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// Same device, and the dtype wanted; then contiguous.
inline Tensor operand(const Tensor& tensor, const Tensor& beside, ScalarType dtype) {
  STD_TORCH_CHECK(tensor.is_cuda() == beside.is_cuda() &&
                      tensor.get_device_index() == beside.get_device_index(),
                  "tensors lie on different devices");
  STD_TORCH_CHECK(tensor.scalar_type() == dtype, "dtypes do not fit each other");
  return torch::stable::contiguous(tensor);
}

// Calls run(T{}) with the element type of a CPU tensor.
template <class F>
void with_cpu_dtype(const Tensor& tensor, F&& run) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float:
      return run(float{});
    case ScalarType::Double:
      return run(double{});
    default:
      STD_TORCH_CHECK(false, "on the CPU the dtype must be float32 or float64");
  }
}

}  // namespace isp_meta

// Registers what the operators do: the same functions for tensors on either device.
#define ISP_META_ON_BOTH_DEVICES(library, ...)                                              \
  STABLE_TORCH_LIBRARY_IMPL(isp_meta, CPU, library){__VA_ARGS__} STABLE_TORCH_LIBRARY_IMPL( \
      isp_meta, CUDA, library) {                                                            \
    __VA_ARGS__                                                                             \
  }

#ifdef ISP_META_CUDA

// A CPU build of torch lacks it; weak, the library loads there all the same.
extern "C" __attribute__((weak)) AOTITorchError
aoti_torch_get_current_cuda_stream(int32_t device_index, void** ret_stream);

namespace isp_meta {

inline Dtype cuda_dtype(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float:
      return Dtype::kFloat32;
    case ScalarType::Double:
      return Dtype::kFloat64;
    case ScalarType::Half:
      return Dtype::kFloat16;
    case ScalarType::BFloat16:
      return Dtype::kBFloat16;
    default:
      STD_TORCH_CHECK(false, "the dtype must be float32, float64, float16 or bfloat16");
  }
}

// Calls run(Launch) for the tensor's device and current stream; run returns an error's text or
// null.
template <class F>
void on_cuda(const Tensor& tensor, const F& run) {
  Launch on{cuda_dtype(tensor), tensor.get_device_index(), nullptr};
  STD_TORCH_CHECK(&aoti_torch_get_current_cuda_stream, "this build of torch has no CUDA");
  const AOTITorchError error_code = aoti_torch_get_current_cuda_stream(on.device, &on.stream);
  STD_TORCH_CHECK(error_code == AOTI_TORCH_SUCCESS, "torch gives no CUDA stream");
  const char* error = run(on);
  STD_TORCH_CHECK(error == nullptr, "CUDA: ", error);
}

}  // namespace isp_meta

// Its own name is unlike any of the caller's, which the arguments may use.
#define ISP_META_ON_CUDA(tensor, launch, ...) \
  on_cuda(tensor, [&](const Launch& here_) { return launch(here_, __VA_ARGS__); })

#else

#define ISP_META_ON_CUDA(tensor, launch, ...) \
  STD_TORCH_CHECK(false, "built without CUDA kernels; ISP_META_CUDA=1 builds them, with nvcc")

#endif

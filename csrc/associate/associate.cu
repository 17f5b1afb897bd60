#include "associate/associate.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T>
__global__ void associate_kernel(const T* logits, T* association, Grid grid, int64_t count,
                                 bool mask_outside) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t batch = i / grid.pixels(), pixel = i % grid.pixels();
  const int y = int(pixel / grid.width), x = int(pixel % grid.width);
  const unsigned exists =
      mask_outside ? grid.neighbors(y / grid.cell, x / grid.cell) : kAllNeighbors;
  const int64_t at = batch * kNeighbors * grid.pixels() + pixel;
  associate<1>(logits + at, association + at, grid.pixels(), exists, 1);
}

template <class T>
__global__ void associate_vjp_kernel(const T* grad, const T* association, T* grad_logits,
                                     int64_t plane, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t at = i / plane * kNeighbors * plane + i % plane;
  associate_vjp<1>(grad + at, association + at, grad_logits + at, plane, 1);
}

}  // namespace

const char* launch_associate(const Launch& on, const void* logits, void* association, int64_t batch,
                             Grid grid, bool mask_outside) {
  const int64_t count = batch * grid.pixels();
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(associate_kernel<T>, blocks, kThreads, stream, static_cast<const T*>(logits),
                    static_cast<T*>(association), grid, count, mask_outside);
  });
}

const char* launch_associate_backward(const Launch& on, const void* grad, const void* association,
                                      void* grad_logits, int64_t batch, int64_t plane) {
  const int64_t count = batch * plane;
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(associate_vjp_kernel<T>, blocks, kThreads, stream, static_cast<const T*>(grad),
                    static_cast<const T*>(association), static_cast<T*>(grad_logits), plane, count);
  });
}

}  // namespace isp_meta

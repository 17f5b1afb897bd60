#include "associate/associate.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T>
__global__ void associate_kernel(const T* logits, T* association, Grid grid, int64_t count,
                                 bool mask_outside) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const Pixel pixel(grid, i);
  const unsigned exists = mask_outside ? grid.neighbors(pixel.by, pixel.bx) : kAllNeighbors;
  logits += pixel.batch * kNeighbors * grid.pixels() + pixel.at;
  association += pixel.batch * kNeighbors * grid.pixels() + pixel.at;
  AccumulateType<T> z[kNeighbors];
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) z[n] = AccumulateType<T>(logits[n * grid.pixels()]);
  softmax(z, exists);
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) association[n * grid.pixels()] = T(z[n]);
}

template <class T>
__global__ void associate_vjp_kernel(const T* grad, const T* association, T* grad_logits,
                                     int64_t plane, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t at = i / plane * kNeighbors * plane + i % plane;
  AccumulateType<T> q[kNeighbors], g[kNeighbors];
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) {
    q[n] = AccumulateType<T>(association[at + n * plane]);
    g[n] = AccumulateType<T>(grad[at + n * plane]);
  }
  softmax_vjp(q, g);
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) grad_logits[at + n * plane] = T(g[n]);
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

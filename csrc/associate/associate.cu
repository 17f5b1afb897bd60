#include "associate/associate.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T>
__global__ void associate_kernel(const T* __restrict__ logits, T* __restrict__ association,
                                 Grid grid, int64_t batch, bool mask_outside) {
  const Pixel pixel(grid);
  if (!pixel.exists(grid, batch)) return;
  const int64_t plane = grid.pixels(), at = pixel.batch * kNeighbors * plane + pixel.at(grid);
  AccumulateType<T> z[kNeighbors];
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) z[n] = AccumulateType<T>(logits[at + n * plane]);
  with_neighbors(mask_outside ? grid.neighbors(pixel.by(grid), pixel.bx(grid)) : kAllNeighbors,
                 [&](unsigned exists) { softmax(z, exists); });
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) association[at + n * plane] = T(z[n]);
}

// One thread a pixel, one row of groups a picture.
template <class T>
__global__ void associate_vjp_kernel(const T* __restrict__ grad, const T* __restrict__ association,
                                     T* __restrict__ grad_logits, int64_t plane, int64_t batch) {
  if (thread_index() >= plane || row_of_groups() >= batch) return;
  const int64_t at = row_of_groups() * kNeighbors * plane + thread_index();
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
  return launch_pixels(on, batch, grid, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(associate_kernel<T>, blocks, kThreads, 0, stream, static_cast<const T*>(logits),
                    static_cast<T*>(association), grid, batch, mask_outside);
  });
}

const char* launch_associate_backward(const Launch& on, const void* grad, const void* association,
                                      void* grad_logits, int64_t batch, int64_t plane) {
  return launch_threads(on, plane, batch, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(associate_vjp_kernel<T>, blocks, kThreads, 0, stream,
                    static_cast<const T*>(grad), static_cast<const T*>(association),
                    static_cast<T*>(grad_logits), plane, batch);
  });
}

}  // namespace isp_meta

#include "associate_features/associate_features.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T, class A = AccumulateType<T>>
__global__ void associate_features_kernel(const T* features, const A* centers, T* association,
                                          Grid grid, int channels, A scale, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t batch = i / grid.pixels(), pixel = i % grid.pixels();
  const int by = int(pixel / grid.width) / grid.cell, bx = int(pixel % grid.width) / grid.cell;
  const unsigned exists = grid.neighbors(by, bx);
  features += batch * channels * grid.pixels() + pixel;
  centers += batch * channels * grid.cells() + int64_t(by) * grid.cols() + bx;
  association += batch * kNeighbors * grid.pixels() + pixel;
  A z[kNeighbors] = {};
  for (int c = 0; c < channels; ++c, centers += grid.cells()) {
    const A f = A(features[c * grid.pixels()]);
    ISP_META_UNROLL_NEIGHBORS
    for (int n = 0; n < kNeighbors; ++n) {
      if (exists >> n & 1) z[n] += squared(f, centers[offset_y(n) * grid.cols() + offset_x(n)]);
    }
  }
  ISP_META_UNROLL_NEIGHBORS
  for (int n = 0; n < kNeighbors; ++n) z[n] *= -scale;
  softmax<1>(z, exists, 1);
  ISP_META_UNROLL_NEIGHBORS
  for (int n = 0; n < kNeighbors; ++n) association[n * grid.pixels()] = T(z[n]);
}

}  // namespace

const char* launch_associate_features(const Launch& on, const void* features, const void* centers,
                                      void* association, int64_t batch, int channels, Grid grid,
                                      double scale) {
  const int64_t count = batch * grid.pixels();
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    ISP_META_LAUNCH(associate_features_kernel<T>, blocks, kThreads, stream,
                    static_cast<const T*>(features), static_cast<const A*>(centers),
                    static_cast<T*>(association), grid, channels, A(scale), count);
  });
}

}  // namespace isp_meta

#include "associate_features/associate_features.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T, class A = AccumulateType<T>>
__global__ void associate_features_kernel(const T* __restrict__ features,
                                          const A* __restrict__ centers,
                                          T* __restrict__ association, Grid grid, int64_t batch,
                                          int channels, A scale) {
  const Pixel pixel(grid);
  if (!pixel.exists(grid, batch)) return;
  const int64_t plane = grid.pixels();
  const int by = pixel.by(grid), bx = pixel.bx(grid);
  features += pixel.batch * channels * plane + pixel.at(grid);
  centers += pixel.batch * channels * grid.cells() + grid.at(by, bx);
  association += pixel.batch * kNeighbors * plane + pixel.at(grid);
  A z[kNeighbors] = {};
  with_neighbors(grid.neighbors(by, bx), [&](unsigned exists) {
    for (int c = 0; c < channels; ++c, features += plane, centers += grid.cells()) {
      const A f = A(*features);
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) {
        if (exists >> n & 1) z[n] += squared(f, centers[offset_y(n) * grid.cols() + offset_x(n)]);
      }
    }
    ISP_META_UNROLL
    for (int n = 0; n < kNeighbors; ++n) z[n] *= -scale;
    softmax(z, exists);
  });
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) association[n * plane] = T(z[n]);
}

}  // namespace

const char* launch_associate_features(const Launch& on, const void* features, const void* centers,
                                      void* association, int64_t batch, int channels, Grid grid,
                                      double scale) {
  return launch_pixels(on, batch, grid, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    ISP_META_LAUNCH(associate_features_kernel<T>, blocks, kThreads, 0, stream,
                    static_cast<const T*>(features), static_cast<const A*>(centers),
                    static_cast<T*>(association), grid, batch, channels, A(scale));
  });
}

}  // namespace isp_meta

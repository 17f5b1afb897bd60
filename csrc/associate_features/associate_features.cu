#include "associate_features/associate_features.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T, class A = AccumulateType<T>>
__global__ void associate_features_kernel(const T* features, const A* centers, T* association,
                                          Grid grid, int channels, A scale, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const Pixel pixel(grid, i);
  const unsigned exists = grid.neighbors(pixel.by, pixel.bx);
  features += pixel.batch * channels * grid.pixels() + pixel.at;
  centers += pixel.batch * channels * grid.cells() + grid.at(pixel.by, pixel.bx);
  association += pixel.batch * kNeighbors * grid.pixels() + pixel.at;
  A z[kNeighbors] = {};
  for (int c = 0; c < channels; ++c, centers += grid.cells()) {
    const A f = A(features[c * grid.pixels()]);
    ISP_META_UNROLL
    for (int n = 0; n < kNeighbors; ++n) {
      if (exists >> n & 1) z[n] += squared(f, centers[offset_y(n) * grid.cols() + offset_x(n)]);
    }
  }
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) z[n] *= -scale;
  softmax(z, exists);
  ISP_META_UNROLL
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

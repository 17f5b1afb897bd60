#pragma once

#include "associate_features/associate_features.h"
#include "cpu/tiles.h"

namespace isp_meta::ISP_META_ISA {

template <class T>
void associate_features(const T* features, const T* centers, T* association, int64_t batch,
                        int channels, Grid grid, T scale, int64_t begin, int64_t end) {
  using V = Vector<T>;
  const int64_t plane = grid.pixels();
  const bool large = streams<T>(batch * kNeighbors * plane, plane);
  for_centers(centers, channels, features, channels, grid, begin, end,
              [&](auto whole, int64_t b, int64_t at, const T* u, int left, unsigned exists) {
                const T* from = features + b * channels * plane + at;
                T* to = association + b * kNeighbors * plane + at;
                const bool streamed = large && aligned(to);
                V z[kNeighbors] = {};
                for (int c = 0; c < channels; ++c, u += kNeighbors * kTileWidth) {
                  const V f = whole ? load(from + c * plane) : load(from + c * plane, left);
                  ISP_META_UNROLL
                  for (int n = 0; n < kNeighbors; ++n) z[n] += squared(f, load(u + n * kTileWidth));
                }
                ISP_META_UNROLL
                for (int n = 0; n < kNeighbors; ++n) z[n] *= -scale;
                softmax(z, whole ? kAllNeighbors : exists);
                ISP_META_UNROLL
                for (int n = 0; n < kNeighbors; ++n) {
                  if (whole) {
                    stream(to + n * plane, z[n], streamed);
                  } else {
                    store(to + n * plane, z[n], left);
                  }
                }
              });
  finish_streams();
}

template void associate_features(const float*, const float*, float*, int64_t, int, Grid, float,
                                 int64_t, int64_t);
template void associate_features(const double*, const double*, double*, int64_t, int, Grid, double,
                                 int64_t, int64_t);

}  // namespace isp_meta::ISP_META_ISA

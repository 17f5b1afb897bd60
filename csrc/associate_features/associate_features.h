// Soft association by likeness, with no network: the softmax over existing neighbors of
//
//     z(n) = -scale * sum over channels c of (f_c - u_c(n))^2
//
// f the pixel's features, u(n) the center of neighbor n. Jampani et al., Superpixel Sampling
// Networks, ECCV 2018, Eq. 3.
#pragma once

#include "associate/associate.h"

namespace isp_meta {

// z(n) of one neighbor; channels lie `plane` apart in features, `stride` apart in its centers.
template <class T, class A>
ISP_META_HD void feature_logit(const T* __restrict__ features, int64_t plane,
                               const A* __restrict__ centers, int64_t stride, int channels, A scale,
                               A* __restrict__ z, int count) {
  for (int x = 0; x < count; ++x) z[x] = A(0);
  for (int c = 0; c < channels; ++c) {
    for (int x = 0; x < count; ++x) {
      const A difference = A(features[c * plane + x]) - centers[c * stride + x];
      z[x] -= scale * difference * difference;
    }
  }
}

const char* launch_associate_features(const Launch& on, const void* features, const void* centers,
                                      void* association, int64_t batch, int channels, Grid grid,
                                      double scale);

}  // namespace isp_meta

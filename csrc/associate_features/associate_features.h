// Soft association by likeness, with no network: the softmax over existing neighbors of
//
//     z(n) = -scale * sum over channels c of (f_c - u_c(n))^2
//
// f the pixel's features, u(n) the center of neighbor n. Jampani et al., Superpixel Sampling
// Networks, ECCV 2018, Eq. 3.
#pragma once

#include "associate/associate.h"

namespace isp_meta {

// What one channel adds to |f - u|^2.
template <class A>
ISP_META_HD A squared(A feature, A center) {
  const A difference = feature - center;
  return difference * difference;
}

const char* launch_associate_features(const Launch& on, const void* features, const void* centers,
                                      void* association, int64_t batch, int channels, Grid grid,
                                      double scale);

}  // namespace isp_meta

ISP_META_EACH_ISA(
    // Rows of blocks [begin, end) of a batch.
    template <class T> void associate_features(const T* features, const T* centers, T* association,
                                               int64_t batch, int channels, Grid grid, T scale,
                                               int64_t begin, int64_t end);)

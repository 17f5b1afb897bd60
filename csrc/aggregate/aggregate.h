// Centers from pixels and pixels from centers: the three derivatives of one form, linear in each
// of its arguments, so that every gradient of one of them is another:
//
//     T(f, u, q) = sum over pixels p, neighbors n of p that exist, channels c of
//                  q(n, p) f_c(p) u_c(cell n of p),   with f_C = 1 for one more center channel
//
//     accumulate  dT/du  (f, q) -> C + 1 sums a cell: of f q, and of q alone
//     distribute  dT/df  (u, q) -> sum over n of q(n, p) u_c(cell n of p)
//     correlate   dT/dq  (f, u) -> sum over c of f_c(p) u_c(cell n of p), + u_C
//
// Eq. 2 of Nam et al., CVPR 2022: centers are accumulate's sums over its last, pixels distribute.
#pragma once

#include "dtype.h"
#include "grid.h"

namespace isp_meta {

// What all three sum: terms of a run of pixels.
template <class L, class R, class A>
ISP_META_HD void add_products(const L* __restrict__ left, const R* __restrict__ right,
                              A* __restrict__ sums, int count) {
  for (int x = 0; x < count; ++x) sums[x] += A(left[x]) * A(right[x]);
}

// Those of accumulate's last channel, where f = 1.
template <class T, class A>
ISP_META_HD void add(const T* __restrict__ association, A* __restrict__ sums, int count) {
  for (int x = 0; x < count; ++x) sums[x] += A(association[x]);
}

const char* launch_accumulate(const Launch& on, const void* features, const void* association,
                              void* sums, int64_t batch, int channels, Grid grid);
const char* launch_distribute(const Launch& on, const void* centers, const void* association,
                              void* pixels, int64_t batch, int channels, Grid grid);
const char* launch_correlate(const Launch& on, const void* features, const void* centers,
                             void* association, int64_t batch, int channels, Grid grid);

}  // namespace isp_meta

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

#include "cpu/dispatch.h"
#include "dtype.h"
#include "grid.h"

namespace isp_meta {

// `blocks` is room for (batch, cells, 9, channels + 1) sums, of the type of `sums`.
const char* launch_accumulate(const Launch& on, const void* features, const void* association,
                              void* blocks, void* sums, int64_t batch, int channels, Grid grid);
const char* launch_distribute(const Launch& on, const void* centers, const void* association,
                              void* pixels, int64_t batch, int channels, Grid grid);
const char* launch_correlate(const Launch& on, const void* features, const void* centers,
                             void* association, int64_t batch, int channels, Grid grid);

}  // namespace isp_meta

// Rows of blocks, of cells in accumulate, [begin, end) of a batch, counted through it.
ISP_META_EACH_ISA(template <class T>
                  void accumulate(const T* features, const T* association, T* sums, int64_t batch,
                                  int channels, Grid grid, int64_t begin, int64_t end);
                  template <class T>
                  void distribute(const T* centers, const T* association, T* pixels, int64_t batch,
                                  int channels, Grid grid, int64_t begin, int64_t end);
                  template <class T>
                  void correlate(const T* features, const T* centers, T* association, int64_t batch,
                                 int channels, Grid grid, int64_t begin, int64_t end);)

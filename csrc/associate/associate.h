// Soft association: the softmax of a pixel's logits over the neighbors that exist.
//
//     q(n) = exp(z(n)) / sum over existing m of exp(z(m)),  0 for a neighbor that does not exist
//
// Nam et al., CVPR 2022, section 3.1.
#pragma once

#include <cmath>
#include <cstdint>

#include "cpu/dispatch.h"
#include "dtype.h"
#include "grid.h"
#include "number.h"

namespace isp_meta {

// In place of the logits z, over the neighbors in `exists`; others become 0.
template <class A>
ISP_META_HD void softmax(A* z, unsigned exists) {
  A top = A{} - INFINITY, sum{};
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) {
    if (exists >> n & 1) top = z[n] > top ? z[n] : top;
  }
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) {
    if (!(exists >> n & 1)) continue;
    z[n] = exp_nonpositive(z[n] - top);
    sum += z[n];
  }
  const A scale = 1 / sum;
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) z[n] = exists >> n & 1 ? z[n] * scale : A{};
}

// dL/dz(n) = q(n) (g(n) - sum over m of q(m) g(m)) in place of g = dL/dq. Holds for any softmax.
template <class A>
ISP_META_HD void softmax_vjp(const A* q, A* g) {
  A mean{};
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) mean += q[n] * g[n];
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) g[n] = q[n] * (g[n] - mean);
}

const char* launch_associate(const Launch& on, const void* logits, void* association, int64_t batch,
                             Grid grid, bool mask_outside);
const char* launch_associate_backward(const Launch& on, const void* grad, const void* association,
                                      void* grad_logits, int64_t batch, int64_t plane);

}  // namespace isp_meta

ISP_META_EACH_ISA(
    // Rows of blocks [begin, end) of a batch, counted through it.
    template <class T> void associate(const T* logits, T* association, int64_t batch, Grid grid,
                                      bool mask_outside, int64_t begin, int64_t end);
    // Rows of pixels [begin, end) of a batch.
    template <class T>
    void associate_backward(const T* grad, const T* association, T* grad_logits, int64_t batch,
                            Grid grid, int64_t begin, int64_t end);)

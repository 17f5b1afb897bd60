// Soft association: the softmax of a pixel's logits over the neighbors that exist.
//
//     q(n) = exp(z(n)) / sum over existing m of exp(z(m)),  0 for a neighbor that does not exist
//
// Nam et al., CVPR 2022, section 3.1.
#pragma once

#include <cmath>
#include <cstdint>

#include "dtype.h"
#include "grid.h"
#include "isa.h"
#ifndef __CUDACC__
#include "number.h"
#endif

namespace isp_meta {

#ifdef __CUDACC__
template <class A>
__device__ __forceinline__ A exp_nonpositive(A x) {
  return exp(x);
}
#else
// exp(x) for x <= 0 to about one unit in the last place; below the smallest normal number it is 0.
// Without branch or call.
template <class A>
ISP_META_HD A exp_nonpositive(A x) {
  using E = Element<A>;
  constexpr bool is_float = sizeof(E) == 4;
  constexpr int mantissa = is_float ? 23 : 52, degree = is_float ? 7 : 13;
  // Adding 1.5 * 2^mantissa rounds to an integer and leaves it in the lowest bits.
  constexpr E round = E(3) * E(uint64_t(1) << (mantissa - 1));
  constexpr E log2_e = E(1.442695040888963407359924681001892137);
  // ln 2 in two parts, the first short enough for exact products.
  constexpr E ln2_high = is_float ? E(0.693359375) : E(0x1.62e42fee00000p-1);
  constexpr E ln2_low = is_float ? E(-2.12194440054690583e-4) : E(0x1.a39ef35793c76p-33);
  constexpr E inverse_factorial[] = {E(1),
                                     E(1),
                                     E(1) / 2,
                                     E(1) / 6,
                                     E(1) / 24,
                                     E(1) / 120,
                                     E(1) / 720,
                                     E(1) / 5040,
                                     E(1) / 40320,
                                     E(1) / 362880,
                                     E(1) / 3628800,
                                     E(1) / 39916800,
                                     E(1) / 479001600,
                                     E(1) / 6227020800};

  const A lowest = A{} + (is_float ? E(-87) : E(-708));
  const A clamped = x < lowest ? lowest : x;
  const A shifted = clamped * log2_e + round;
  const A power = shifted - round;
  const A rest = (clamped - power * ln2_high) - power * ln2_low;
  A series = A{} + inverse_factorial[degree];
#pragma GCC unroll 16
  for (int k = degree - 1; k >= 0; --k) series = series * rest + inverse_factorial[k];
  const Bits<A> scale =
      (__builtin_bit_cast(Bits<A>, shifted) << mantissa) + __builtin_bit_cast(Bits<A>, A{} + E(1));
  return x < lowest ? A{} : series * __builtin_bit_cast(A, scale);
}
#endif

// Softmax in place of z[n * kRun + x], x < count, over the neighbors in `exists`; others become 0.
template <int kRun, class A>
ISP_META_HD void softmax(A* z, unsigned exists, int count) {
  A top[kRun], sum[kRun];
  for (int x = 0; x < count; ++x) {
    top[x] = A{} - INFINITY;
    sum[x] = A{};
  }
  ISP_META_UNROLL_NEIGHBORS
  for (int n = 0; n < kNeighbors; ++n) {
    if (!(exists >> n & 1)) continue;
    for (int x = 0; x < count; ++x) top[x] = z[n * kRun + x] > top[x] ? z[n * kRun + x] : top[x];
  }
  ISP_META_UNROLL_NEIGHBORS
  for (int n = 0; n < kNeighbors; ++n) {
    if (!(exists >> n & 1)) continue;
    for (int x = 0; x < count; ++x) {
      z[n * kRun + x] = exp_nonpositive(z[n * kRun + x] - top[x]);
      sum[x] += z[n * kRun + x];
    }
  }
  for (int x = 0; x < count; ++x) sum[x] = 1 / sum[x];
  ISP_META_UNROLL_NEIGHBORS
  for (int n = 0; n < kNeighbors; ++n) {
    const bool exist = exists >> n & 1;
    for (int x = 0; x < count; ++x) z[n * kRun + x] = exist ? z[n * kRun + x] * sum[x] : A{};
  }
}

// dL/dz(n) = q(n) (g(n) - sum over m of q(m) g(m)) in place of g = dL/dq. Holds for any softmax.
template <class A>
ISP_META_HD void softmax_vjp(const A* q, A* g) {
  A mean = {};
  ISP_META_UNROLL_NEIGHBORS
  for (int n = 0; n < kNeighbors; ++n) mean += q[n] * g[n];
  ISP_META_UNROLL_NEIGHBORS
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

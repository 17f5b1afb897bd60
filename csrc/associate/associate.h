// Soft association: the softmax of a pixel's logits over the neighbors that exist.
//
//     q(n) = exp(z(n)) / sum over existing m of exp(z(m)),  0 for a neighbor that does not exist
//
// Nam et al., CVPR 2022, section 3.1.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "dtype.h"
#include "grid.h"

namespace isp_meta {

constexpr unsigned kAllNeighbors = (1u << kNeighbors) - 1;

// exp(x) for x <= 0 to about one unit in the last place; below the smallest normal number it is 0.
// Without branch or call, so that a loop over pixels becomes vector instructions.
template <class A>
ISP_META_HD A exp_nonpositive(A x) {
#ifdef __CUDA_ARCH__
  return exp(x);
#else
  constexpr bool is_float = std::is_same_v<A, float>;
  using Bits = std::conditional_t<is_float, uint32_t, uint64_t>;
  constexpr int mantissa = std::numeric_limits<A>::digits - 1;
  constexpr int degree = is_float ? 7 : 13;
  // Adding 1.5 * 2^mantissa rounds to an integer and leaves it in the lowest bits.
  constexpr A round = A(3) * A(Bits(1) << (mantissa - 1));
  constexpr A lowest = is_float ? A(-87) : A(-708);
  constexpr A log2_e = A(1.442695040888963407359924681001892137);
  // ln 2 in two parts, the first short enough for exact products.
  constexpr A ln2_high = is_float ? A(0.693359375) : A(0x1.62e42fee00000p-1);
  constexpr A ln2_low = is_float ? A(-2.12194440054690583e-4) : A(0x1.a39ef35793c76p-33);

  const A clamped = x < lowest ? lowest : x;
  const A shifted = clamped * log2_e + round;
  const A power = shifted - round;
  const A rest = (clamped - power * ln2_high) - power * ln2_low;
  A series = A(1);
  for (int k = degree; k >= 1; --k) series = series * rest * (A(1) / A(k)) + A(1);
  const Bits scale = (std::bit_cast<Bits>(shifted) << mantissa) + std::bit_cast<Bits>(A(1));
  return x < lowest ? A(0) : series * std::bit_cast<A>(scale);
#endif
}

// Softmax in place of z[n * kRun + x], x < count, over the neighbors in `exists`; others become 0.
template <int kRun, class A>
ISP_META_HD void softmax(A* z, unsigned exists, int count) {
  A top[kRun], sum[kRun];
  for (int x = 0; x < count; ++x) {
    top[x] = A(-INFINITY);
    sum[x] = A(0);
  }
  for (int n = 0; n < kNeighbors; ++n) {
    if (!(exists >> n & 1)) continue;
    for (int x = 0; x < count; ++x) top[x] = z[n * kRun + x] > top[x] ? z[n * kRun + x] : top[x];
  }
  for (int n = 0; n < kNeighbors; ++n) {
    if (!(exists >> n & 1)) continue;
    for (int x = 0; x < count; ++x) {
      z[n * kRun + x] = exp_nonpositive(z[n * kRun + x] - top[x]);
      sum[x] += z[n * kRun + x];
    }
  }
  for (int x = 0; x < count; ++x) sum[x] = A(1) / sum[x];
  for (int n = 0; n < kNeighbors; ++n) {
    const bool exist = exists >> n & 1;
    for (int x = 0; x < count; ++x) z[n * kRun + x] = exist ? z[n * kRun + x] * sum[x] : A(0);
  }
}

// Neighbors lie `plane` apart.
template <int kRun, class T>
ISP_META_HD void associate(const T* __restrict__ logits, T* __restrict__ association, int64_t plane,
                           unsigned exists, int count) {
  using A = AccumulateType<T>;
  A z[kNeighbors * kRun];
  for (int n = 0; n < kNeighbors; ++n) {
    for (int x = 0; x < count; ++x) z[n * kRun + x] = A(logits[n * plane + x]);
  }
  softmax<kRun>(z, exists, count);
  for (int n = 0; n < kNeighbors; ++n) {
    for (int x = 0; x < count; ++x) association[n * plane + x] = T(z[n * kRun + x]);
  }
}

// dL/dz(n) = q(n) (g(n) - sum over m of q(m) g(m)), g = dL/dq. Holds for any softmax.
template <int kRun, class T>
ISP_META_HD void associate_vjp(const T* __restrict__ grad, const T* __restrict__ association,
                               T* __restrict__ grad_logits, int64_t plane, int count) {
  using A = AccumulateType<T>;
  A mean[kRun];
  for (int x = 0; x < count; ++x) mean[x] = A(0);
  for (int64_t n = 0; n < kNeighbors * plane; n += plane) {
    for (int x = 0; x < count; ++x) mean[x] += A(association[n + x]) * A(grad[n + x]);
  }
  for (int64_t n = 0; n < kNeighbors * plane; n += plane) {
    for (int x = 0; x < count; ++x) {
      grad_logits[n + x] = T(A(association[n + x]) * (A(grad[n + x]) - mean[x]));
    }
  }
}

const char* launch_associate(const Launch& on, const void* logits, void* association, int64_t batch,
                             Grid grid, bool mask_outside);
const char* launch_associate_backward(const Launch& on, const void* grad, const void* association,
                                      void* grad_logits, int64_t batch, int64_t plane);

}  // namespace isp_meta

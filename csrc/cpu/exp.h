// Functions of a number or of a vector of numbers, on the CPU; number.h has those of a GPU.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "number.h"

namespace isp_meta {

// Unsigned integers of A's size, lane by lane.
template <class A>
struct BitsOf {
  using type = std::conditional_t<sizeof(A) == 4, uint32_t, uint64_t>;
};
template <class A>
  requires requires(A a) { a[0]; }
struct BitsOf<A> {
  typedef typename BitsOf<Element<A>>::type type __attribute__((vector_size(sizeof(A))));
};
template <class A>
using Bits = typename BitsOf<A>::type;

template <class A>
ISP_META_HD A square_root(A x) {
  if constexpr (std::is_arithmetic_v<A>) {
    return std::sqrt(x);
  } else {
    ISP_META_UNROLL
    for (int i = 0; i < int(sizeof(A) / sizeof(x[0])); ++i) x[i] = std::sqrt(x[i]);
    return x;
  }
}

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

}  // namespace isp_meta

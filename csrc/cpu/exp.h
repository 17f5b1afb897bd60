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

// f of a number, or of each lane.
template <class A, class F>
ISP_META_HD A each_lane(A x, const F& f) {
  if constexpr (std::is_arithmetic_v<A>) {
    return f(x);
  } else {
    ISP_META_UNROLL
    for (int i = 0; i < int(sizeof(A) / sizeof(x[0])); ++i) x[i] = f(x[i]);
    return x;
  }
}

template <class A>
ISP_META_HD A square_root(A x) {
  return each_lane(x, [](Element<A> lane) { return std::sqrt(lane); });
}

// Toward 0, for x that an int holds.
template <class A>
ISP_META_HD A truncated(A x) {
  if constexpr (std::is_arithmetic_v<A>) {
    return A(int(x));
  } else {
    using I = std::conditional_t<sizeof(x[0]) == 4, int32_t, int64_t>;
    typedef I Whole __attribute__((vector_size(sizeof(A))));
    return __builtin_convertvector(__builtin_convertvector(x, Whole), A);
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

// log(x) for normal x > 0, to about one unit in the last place of the larger of it and 1.
template <class A>
ISP_META_HD A log_positive(A x) {
  using E = Element<A>;
  if constexpr (sizeof(E) == 8) {
    return each_lane(x, [](E lane) { return std::log(lane); });
  } else {
    // x = 2^power * rest, rest from sqrt(1/2) to sqrt(2); log(rest) = 2 artanh(z).
    constexpr uint32_t root_half = 0x3f3504f3, one = 0x3f800000;
    const Bits<A> shifted = __builtin_bit_cast(Bits<A>, x) + (one - root_half);
    const Bits<A> fraction = (shifted & 0x7fffff) + root_half;
    // Biased by 127, below 2^8: exact where it is put under the bits of 2^23.
    const A power = __builtin_bit_cast(A, (shifted >> 23) + 0x4b000000) - (E(0x1p23) + 127);
    const A rest = __builtin_bit_cast(A, fraction);
    const A z = (rest - 1) / (rest + 1), square = z * z;
    A series = A{} + E(2) / 9;
#pragma GCC unroll 4
    for (int k = 7; k >= 1; k -= 2) series = series * square + E(2) / E(k);
    return power * E(0.693147180559945309) + z * series;
  }
}

// erf(x) to 1e-6 in float: a quotient of polynomials, fitted where it is not yet 1.
template <class A>
ISP_META_HD A error_function(A x) {
  using E = Element<A>;
  if constexpr (sizeof(E) == 8) {
    return each_lane(x, [](E lane) { return std::erf(lane); });
  } else {
    constexpr E above[] = {E(1.128382920),    E(3.476428791e-1), E(7.046626131e-2),
                           E(9.455547880e-3), E(2.346551416e-4), E(-1.335751193e-6)};
    constexpr E below[] = {E(1), E(6.414459190e-1), E(1.762324167e-1), E(2.678785657e-2),
                           E(2.191919025e-3)};
    const A limit = A{} + E(3.95);
    x = x < -limit ? -limit : x > limit ? limit : x;
    const A square = x * x;
    A over = A{} + above[5], under = A{} + below[4];
#pragma GCC unroll 5
    for (int k = 4; k >= 0; --k) over = over * square + above[k];
#pragma GCC unroll 4
    for (int k = 3; k >= 0; --k) under = under * square + below[k];
    return x * over / under;
  }
}

}  // namespace isp_meta

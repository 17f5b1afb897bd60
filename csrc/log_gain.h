// Raw is a guess of it times the exponential of a gain:
//
//     raw + f = (guess + f) exp(gain),   f = kRawFloor
#pragma once

#include "number.h"

namespace isp_meta {

// Gains of what is darker say little.
constexpr double kRawFloor = 1e-3;

// exp(x) of any x.
template <class A>
ISP_META_HD A exponential(A x) {
  const A part = exp_nonpositive(x < A{} ? x : -x);
  return x < A{} ? part : 1 / part;
}

// The gain that would meet the truth, linearized about one; and how much it matters to meet it: the
// square of raw's slope. Both go by what the gain predicts: what knew the truth's noise would
// prefer what is too dark, or too bright.
template <class A>
ISP_META_HD A linearized(A gain, A guess, A truth, A& slope_square) {
  using E = Element<A>;
  const A one = A{} + E(1), floor = A{} + E(kRawFloor);
  const A found = (guess + floor) * exponential(gain);
  const A missed = (truth + floor) / found - one;
  // From the double on as the logarithm: the whole step would go too far.
  const A far = missed > one ? missed : one;
  slope_square = found * far * found * far;
  return gain + (missed > one ? one + log_positive(far) : missed);
}

}  // namespace isp_meta

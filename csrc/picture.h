// How a picture is read: beyond its edges, and where it is clipped.
#pragma once

#include "number.h"

namespace isp_meta {

// An sRGB color from which on it counts as clipped: 8 bits and JPEG may leave it a step lower.
constexpr double kClipped = 254.0 / 255;

// A picture goes on beyond its edges as it is at them.
ISP_META_HD int clamped(int at, int size) { return at < 0 ? 0 : at < size ? at : size - 1; }

template <class A>
ISP_META_HD A is_clipped(A color) {
  return color >= Element<A>(kClipped) ? A{} + Element<A>(1) : A{};
}

template <class A>
ISP_META_HD A limited(A x, double low, double high) {
  const A least = A{} + Element<A>(low), most = A{} + Element<A>(high);
  return x < least ? least : x > most ? most : x;
}

}  // namespace isp_meta

// What is recovered of a picture, filtered by weights that were fitted to that very picture:
//
//     filtered + f = (raw + f)(1 + gain),   gain = weights . features,   f = kRawFloor
//
// A feature is how far two pixels on opposite sides are from the pixel between them, in the log of
// raw + f or in sRGB. The weights are those of the pixel's phase, whether its row and its column
// are odd, since colors of a mosaic are measured at some pixels and interpolated at others; and of
// its kind, which what is seen around it tells: whether that is clipped, how much it varies, and
// how bright the pixel is.
//
// What a formula reads of a pixel it asks of `at`:
//
//     at.seen(p, dy, dx)  plane p of a pixel or of one at most kReach beside it: 0 to 2 the log of
//                         raw + f, 3 to 5 sRGB, 6 the sum of its colors, 7 the largest
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"
#include "dtype.h"
#include "log_gain.h"
#include "number.h"
#include "picture.h"

namespace isp_meta {

struct Offset {
  int y, x;
};

// The first of each two pixels, row-major; the other one lies opposite. Together a diamond.
constexpr int kReach = 3, kFilterPairs = 12;
ISP_META_HD constexpr Offset filter_pair(int i) {
  constexpr Offset kPairs[kFilterPairs] = {{0, 1}, {0, 2}, {0, 3},  {1, -2}, {1, -1}, {1, 0},
                                           {1, 1}, {1, 2}, {2, -1}, {2, 0},  {2, 1},  {3, 0}};
  return kPairs[i];
}
constexpr int kFilterFeatures = 2 * kColors * kFilterPairs;
constexpr int kSumPlane = 2 * kColors, kLargestPlane = kSumPlane + 1, kFilterPlanes = kSumPlane + 2;
constexpr int kPhases = 4, kKinds = 6;
// Of a gain: none turns a pixel black, or more than doubles it.
constexpr double kLeastFilterGain = -0.5, kMostFilterGain = 1;

// T: of the picture; A: of all else.
template <class T, class A = T>
struct AdaptiveFilter {
  const T* srgb;     // (3, height, width)
  const A* raw;      // (3, height, width)
  const A* weights;  // (kPhases, kKinds, kColors, kFilterFeatures); phase: 2 (y % 2) + x % 2
  A bright, active;  // from which sum of colors, and difference of two sums, on
  int height, width;

  ISP_META_HD int64_t pixels() const { return int64_t(height) * width; }
};

// Calls add(f, feature f of a pixel).
template <class A, class At, class F>
ISP_META_HD void for_filter_features(const At& at, const F& add) {
  for (int p = 0; p < 2 * kColors; ++p) {
    const A middle = at.seen(p, 0, 0);
    ISP_META_UNROLL
    for (int i = 0; i < kFilterPairs; ++i) {
      const auto [y, x] = filter_pair(i);
      add(p * kFilterPairs + i, (at.seen(p, y, x) - middle) + (at.seen(p, -y, -x) - middle));
    }
  }
}

// 0 and 1 where something is clipped, else 2 to 5; odd where the picture is active, 4 and 5 where
// it is bright. Sums and comparisons alone: both ends find the same.
template <class A, class At>
ISP_META_HD A kind_of(const At& at, Element<A> bright, Element<A> active) {
  using E = Element<A>;
  const A sum = at.seen(kSumPlane, 0, 0), one = A{} + E(1);
  A low = sum, high = sum, largest = at.seen(kLargestPlane, 0, 0);
  const auto look = [&](int y, int x) {
    const A beside = at.seen(kSumPlane, y, x), most = at.seen(kLargestPlane, y, x);
    low = beside < low ? beside : low;
    high = beside > high ? beside : high;
    largest = most > largest ? most : largest;
  };
#if defined(__CUDA_ARCH__)
  // The same diamond, a pixel after the other: all of them at once do not fit into registers.
  ISP_META_ROLLED
  for (int y = -kReach; y <= kReach; ++y) {
    const int across = kReach - (y < 0 ? -y : y);
    ISP_META_ROLLED
    for (int x = -across; x <= across; ++x) look(y, x);
  }
#else
  ISP_META_UNROLL
  for (int i = 0; i < kFilterPairs; ++i) {
    const auto [y, x] = filter_pair(i);
    look(y, x);
    look(-y, -x);
  }
#endif
  const A is_active = high - low >= active ? one : A{};
  const A is_bright = sum >= bright ? one : A{};
  const A plain = (one + is_bright) * E(2);
  return is_active + (is_clipped(largest) > A{} ? A{} : plain);
}

// The largest of a pixel's colors, and their sum in this order.
template <class A>
ISP_META_HD A largest_of(A red, A green, A blue) {
  const A two = red > green ? red : green;
  return two > blue ? two : blue;
}
template <class A>
ISP_META_HD A sum_of(A red, A green, A blue) {
  return (red + green) + blue;
}

template <class A>
ISP_META_HD A log_of_raw(A raw) {
  return log_positive(raw + Element<A>(kRawFloor));
}

template <class A>
ISP_META_HD A filtered(A raw, A gain) {
  using E = Element<A>;
  const A factor = limited(gain, kLeastFilterGain, kMostFilterGain) + E(1);
  return limited((raw + E(kRawFloor)) * factor - E(kRawFloor), 0, 1);
}

// Everything one call works on, whatever its element type; tensors are contiguous.
struct AdaptiveFilterTensors {
  const void *srgb, *raw, *weights;
  double bright, active;
  int height, width;
};

template <class T, class A>
AdaptiveFilter<T, A> typed(const AdaptiveFilterTensors& of) {
  return {static_cast<const T*>(of.srgb),
          static_cast<const A*>(of.raw),
          static_cast<const A*>(of.weights),
          A(of.bright),
          A(of.active),
          of.height,
          of.width};
}

const char* launch_adaptive_filter(const Launch& on, const AdaptiveFilterTensors& of, void* result);
const char* launch_filter_features(const Launch& on, const AdaptiveFilterTensors& of,
                                   const int64_t* index, int64_t count, void* features,
                                   int64_t* kinds);

}  // namespace isp_meta

// Rows [begin, end) of what is filtered (3, height, width); features and kinds of the pixels of an
// increasing flat index that lie there.
ISP_META_EACH_ISA(template <class T>
                  void adaptive_filter(const AdaptiveFilter<T>& of, T* result, int begin, int end);
                  template <class T>
                  void filter_features(const AdaptiveFilter<T>& of, const int64_t* index,
                                       int64_t count, T* features, int64_t* kinds, int begin,
                                       int end);)

// A first guess of raw from sRGB alone, by one formula for the whole picture:
//
//     guess = (cubic(x) + f) exp(gain) - f,   f = kRawFloor,   |gain| <= kMostGain
//     gain  = table(x) + weights . (clipped, contrast, hidden)
//
// x is a pixel's sRGB. clipped tells where colors are at their limit. contrast: bands of an a-trous
// pyramid of log light, the finest ones level by level, level 0 being log light itself; the others
// come four times smaller, and are given. hidden: the last hidden layer of a feature network, of
// which the half that is worked out at half size is given as well.
//
// What a formula reads of a pixel it asks of `at`:
//
//     at.seen(dy, c, dx)  color, log light, and where all is clipped, of a pixel or one beside it
//     at.level(k, c)      of the pyramid, k from 1 to kFine
//     at.contrast(i)      what is given at a quarter, i < kContrast     at.told(o)  at half size
//     at.table(c)         the table's gain
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"
#include "dtype.h"
#include "log_gain.h"
#include "number.h"
#include "picture.h"

namespace isp_meta {

constexpr int kFine = 3, kCoarse = 2, kBands = kFine + kCoarse;
constexpr int kContrast = kColors * (kCoarse + 1);  // what is given: bands, and what remains
constexpr int kHalo = (1 << kFine) - 1;             // how far the finest bands see
constexpr int kHalf = 2, kQuarter = 4;
// Features: where each color is clipped, and all are; contrast; hidden.
constexpr int kClips = kColors + 1;
constexpr int kContrasts = kColors * kBands + 2 * kBands + kColors + 1;
constexpr int kHidden = 24;
constexpr int kMonomials = 20;
// What the network sees of a pixel, and its layers: a matrix each, biases last.
constexpr int kSeen = 2 * kColors + 1, kTaps = 9, kFirst = 8;
constexpr int kSecondAt = (kSeen * kTaps + 1) * kFirst;
constexpr int kNetwork = kSecondAt + kHidden * (kFirst + 1);

constexpr double kLightFloor = 5e-3, kMostGain = 2;
constexpr double kLengthFloor = 0.05;

struct Size {
  int rows, cols;
};

// T: of the picture; A: of all else.
template <class T, class A = T>
struct FirstGuess {
  const T* srgb;         // (3, height, width)
  const A* contrast;     // (kContrast, quarter)
  const uint16_t* told;  // (kHidden, half), bfloat16
  const A *network, *cubic, *weights;
  const A* table;  // (knots, knots, knots, kColors or, on the CPU, 4): blue, green, red
  int height, width, top, bottom, knots;
  int features;  // kClips and, where they are there, kContrasts and kHidden more
  Size quarter, half;

  ISP_META_HD bool has_contrast() const { return features > kClips; }
  ISP_META_HD bool has_hidden() const { return features > kClips + kContrasts; }
};

ISP_META_HD float from_bfloat16(uint16_t bits) {
  return __builtin_bit_cast(float, uint32_t(bits) << 16);
}

// Where pixel `at` lies in a row `factor` times shorter, between the centers of two of its pixels.
template <class E>
struct Between {
  int before;  // -1 before the first, for one that goes on beyond its edges as it is at them
  E share;     // of the pixel after that

  ISP_META_HD Between(int at, int factor) {
    const int twice = 2 * at + 1 - factor;
    before = twice < 0 ? -1 : twice / (2 * factor);
    share = E(twice - before * 2 * factor) / E(2 * factor);
  }
};

template <class A, class E>
ISP_META_HD A mixed(A a, A b, E share) {
  return a + (b - a) * share;
}

template <class A>
ISP_META_HD A log_light(A color) {
  return log_positive(color * color + Element<A>(kLightFloor));
}

// Binomial [1, 2, 1] / 4.
template <class A>
ISP_META_HD A smoothed(A before, A middle, A after) {
  return (before + after) * Element<A>(0.25) + middle * Element<A>(0.5);
}

template <class A>
ISP_META_HD A mean(const A* colors) {
  return (colors[0] + colors[1] + colors[2]) * (Element<A>(1) / kColors);
}

// Where a color lies in the table: the first of the knots around it, and how far beyond it.
template <class A>
struct Place {
  A knot, share[kColors];  // red, green, blue

  ISP_META_HD Place(const A* color, int knots) {
    using E = Element<A>;
    knot = A{};
    ISP_META_UNROLL
    for (int c = kColors - 1; c >= 0; --c) {
      const A at = limited(color[c], 0, 1) * E(knots - 1);
      const A before = truncated(limited(at, 0, knots - 2));
      share[c] = at - before;
      knot = knot * E(knots) + before;
    }
  }
};

// Linear in each color. corner(blue, green, red): a gain, or several side by side.
template <class V, class E, class F>
ISP_META_HD V table_value(E red, E green, E blue, const F& corner) {
  V planes[2];
  ISP_META_UNROLL
  for (int b = 0; b < 2; ++b) {
    const V line = mixed<V>(corner(b, 0, 0), corner(b, 0, 1), red);
    planes[b] = mixed<V>(line, mixed<V>(corner(b, 1, 0), corner(b, 1, 1), red), green);
  }
  return mixed(planes[0], planes[1], blue);
}

// The cubic of a color, in [0, 1]. Its monomials are in the order of their powers.
template <class A>
ISP_META_HD void cubic_value(const Element<A>* cubic, const A* color, A* guess) {
  for (int c = 0; c < kColors; ++c) guess[c] = A{};
  A red = A{} + Element<A>(1);
  int n = 0;
  ISP_META_UNROLL
  for (int i = 0; i <= 3; ++i, red *= color[0]) {
    A green = red;
    ISP_META_UNROLL
    for (int j = 0; j <= 3 - i; ++j, green *= color[1]) {
      A blue = green;
      ISP_META_UNROLL
      for (int k = 0; k <= 3 - i - j; ++k, ++n, blue *= color[2]) {
        ISP_META_UNROLL
        for (int c = 0; c < kColors; ++c) guess[c] += blue * cubic[c * kMonomials + n];
      }
    }
  }
  for (int c = 0; c < kColors; ++c) guess[c] = limited(guess[c], 0, 1);
}

// Calls add(i, contrast i of a pixel).
template <class A, class At, class F>
ISP_META_HD void for_contrast(const At& at, const F& add) {
  const A color[] = {at.seen(0, 0, 0), at.seen(0, 1, 0), at.seen(0, 2, 0)};
  const A brightness = mean(color);
  A level[kColors];
  ISP_META_UNROLL
  for (int c = 0; c < kColors; ++c) level[c] = at.seen(0, kColors + c, 0);
  ISP_META_UNROLL
  for (int k = 0; k < kBands; ++k) {
    A band[kColors];
    ISP_META_UNROLL
    for (int c = 0; c < kColors; ++c) {
      if (k < kFine) {
        const A next = at.level(k + 1, c);
        band[c] = level[c] - next;
        level[c] = next;
      } else {
        band[c] = at.contrast((k - kFine) * kColors + c);
      }
      add(k * kColors + c, band[c]);
    }
    const A product = mean(band) * brightness;
    add(kColors * kBands + k, product);
    add(kColors * kBands + kBands + k, product * brightness);
  }
  constexpr int rest_at = kColors * kBands + 2 * kBands;
  A rest[kColors];
  ISP_META_UNROLL
  for (int c = 0; c < kColors; ++c) {
    rest[c] = at.contrast(kCoarse * kColors + c);
    add(rest_at + c, rest[c]);
  }
  add(rest_at + kColors, mean(rest) * mean(rest));
}

// x times the chance that a standard normal variable is below it.
template <class A>
ISP_META_HD A gelu(A x) {
  using E = Element<A>;
  return x * (error_function(x * E(0.70710678118654752)) * E(0.5) + E(0.5));
}

// Calls add(i, hidden number i of a pixel), and returns what to multiply all with.
template <class A, class At, class F>
ISP_META_HD A for_hidden(const Element<A>* network, const At& at, const F& add) {
  using E = Element<A>;
  A first[kFirst];
  ISP_META_UNROLL
  for (int i = 0; i < kFirst; ++i) first[i] = A{} + network[kSecondAt - kFirst + i];
  const E* weight = network;
  for (int c = 0; c < kSeen; ++c) {
    for (int dy = -1; dy <= 1; ++dy) {
      for (int dx = -1; dx <= 1; ++dx, weight += kFirst) {
        const A seen = at.seen(dy, c, dx);
        ISP_META_UNROLL
        for (int i = 0; i < kFirst; ++i) first[i] += seen * weight[i];
      }
    }
  }
  ISP_META_UNROLL
  for (int i = 0; i < kFirst; ++i) first[i] = gelu(first[i]);
  A squares{};
  weight = network + kSecondAt;
  for (int o = 0; o < kHidden; ++o, weight += kFirst + 1) {
    A sum = at.told(o) + weight[kFirst];
    ISP_META_UNROLL
    for (int i = 0; i < kFirst; ++i) sum += first[i] * weight[i];
    sum = gelu(sum);
    squares += sum * sum;
    add(o, sum);
  }
  return 1 / square_root(squares * (E(1) / kHidden) + E(kLengthFloor));
}

// The guess at a pixel, of a picture of type T.
template <class A, class T, class At>
ISP_META_HD void guess_value(const FirstGuess<T, Element<A>>& of, const At& at, A* guess) {
  using E = Element<A>;
  const A color[] = {at.seen(0, 0, 0), at.seen(0, 1, 0), at.seen(0, 2, 0)};
  const E* weights = of.weights;
  const int stride = of.features;
  A gain[kColors];
  ISP_META_UNROLL
  for (int c = 0; c < kColors; ++c) gain[c] = at.table(c);
  const auto add_to = [&](A* sums, int feature, A value) {
    ISP_META_UNROLL
    for (int c = 0; c < kColors; ++c) sums[c] += value * weights[c * stride + feature];
  };
  A all = A{} + E(1);
  ISP_META_UNROLL
  for (int c = 0; c < kColors; ++c) {
    const A clipped = is_clipped(color[c]);
    all *= clipped;
    add_to(gain, c, clipped);
  }
  add_to(gain, kColors, all);
  if (of.has_contrast()) {
    for_contrast<A>(at, [&](int i, A value) { add_to(gain, kClips + i, value); });
  }
  if (of.has_hidden()) {
    A sums[kColors] = {};
    const A factor = for_hidden<A>(
        of.network, at, [&](int i, A value) { add_to(sums, kClips + kContrasts + i, value); });
    ISP_META_UNROLL
    for (int c = 0; c < kColors; ++c) gain[c] += sums[c] * factor;
  }
  cubic_value(of.cubic, color, guess);
  constexpr double floor = kRawFloor, most = 7.38905609893065022723;  // exp(kMostGain)
  ISP_META_UNROLL
  for (int c = 0; c < kColors; ++c) {
    const A limit = limited(gain[c], -kMostGain, kMostGain) - E(kMostGain);
    const A factor = exp_nonpositive(limit) * E(most);
    guess[c] = limited((guess[c] + E(floor)) * factor - E(floor), 0, 1);
  }
}

// Everything one call works on, whatever its element type; tensors are contiguous.
using FirstGuessTensors = FirstGuess<void, void>;

template <class T, class A>
FirstGuess<T, A> typed(const FirstGuessTensors& of) {
  return {static_cast<const T*>(of.srgb),
          static_cast<const A*>(of.contrast),
          of.told,
          static_cast<const A*>(of.network),
          static_cast<const A*>(of.cubic),
          static_cast<const A*>(of.weights),
          static_cast<const A*>(of.table),
          of.height,
          of.width,
          of.top,
          of.bottom,
          of.knots,
          of.features,
          of.quarter,
          of.half};
}

// `levels` is room for the pyramid of rows [top, bottom): (kFine + 1, 3) planes, larger by kHalo on
// each side.
const char* launch_first_guess(const Launch& on, const FirstGuessTensors& of, void* levels,
                               void* guess);
const char* launch_guess_features(const Launch& on, const FirstGuessTensors& of, void* levels,
                                  const int64_t* index, int64_t count, void* features);

}  // namespace isp_meta

// Rows [begin, end), of [top, bottom), of the guess (3, bottom - top, width); of features, those of
// the pixels of an increasing flat index that lie there.
ISP_META_EACH_ISA(template <class T>
                  void first_guess(const FirstGuess<T>& of, T* guess, int begin, int end);
                  template <class T>
                  void guess_features(const FirstGuess<T>& of, const int64_t* index, int64_t count,
                                      T* features, int begin, int end);)

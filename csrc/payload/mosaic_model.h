// What a mosaic's encoder measured of the whole picture, and its decoder must know before the first
// pixel: which codes occur, what color the finished picture's pixels stand for, how to predict.
//
// Values are ranks: positions in the list of codes that occur. A linearized sensor file holds few
// of its codes, and their ranks are as evenly spread as what the sensor measured.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "magnitude.h"
#include "range_coder.h"

namespace isp_meta::payload {

inline constexpr int kFraction = 4;  // bits of a prediction behind the point
inline constexpr int kWeightBits = 16;
inline constexpr int kLevels = 32;  // of brightness, equally frequent
inline constexpr int kClasses = 8;  // of brightness, with weights of their own
inline constexpr int kColors = 3;
inline constexpr int kChannels = 3;
inline constexpr int kCodes = 256;
inline constexpr std::int32_t kMostGuess = 1 << 22;
inline constexpr std::int32_t kMostWeight = 1 << 20;

struct Offset {
  int dy, dx;
};

// Which pixels a prediction looks at: those that come before it in reading order ...
inline constexpr std::array<Offset, 14> kBefore = {{{0, -1},
                                                    {0, -2},
                                                    {0, -3},
                                                    {0, -4},
                                                    {-1, -2},
                                                    {-1, -1},
                                                    {-1, 0},
                                                    {-1, 1},
                                                    {-1, 2},
                                                    {-2, -2},
                                                    {-2, -1},
                                                    {-2, 0},
                                                    {-2, 1},
                                                    {-2, 2}}};
// ... and, in the finished picture, those around it.
inline constexpr std::array<Offset, 12> kAround = {{{-1, -1},
                                                    {-1, 0},
                                                    {-1, 1},
                                                    {0, -1},
                                                    {0, 1},
                                                    {1, -1},
                                                    {1, 0},
                                                    {1, 1},
                                                    {-2, 0},
                                                    {2, 0},
                                                    {0, -2},
                                                    {0, 2}}};

// Colors of a mosaic's repeating pattern, row-major, 0 to 2.
struct Pattern {
  int rows = 1, columns = 1;
  std::vector<std::uint8_t> colors{0};

  static constexpr int kMostSide = 8;

  int phases() const { return rows * columns; }
  int phase(std::int64_t y, std::int64_t x) const {
    return static_cast<int>(y % rows * columns + x % columns);
  }
};

struct MosaicModel {
  Pattern pattern;
  bool guided = false;
  std::vector<std::uint16_t> codes;  // by rank; empty: every code is its own rank
  std::int32_t top = 0;              // greatest rank
  // guess[color][channel][v]: what 8-bit code v of the finished picture adds to the guess of a
  // color's sensor code, in 1 / 2^kFraction: the inverse of a tone curve and of a color matrix.
  std::array<std::array<std::array<std::int32_t, kCodes>, kChannels>, kColors> guess{};
  std::array<std::int32_t, kLevels - 1> thresholds{};
  std::vector<std::int32_t> weights;  // [phase][class][feature]

  std::size_t features() const {
    return kBefore.size() + 1 + (guided ? kColors * (kAround.size() + 1) : 0);
  }
  std::size_t weight_count() const { return pattern.phases() * kClasses * features(); }

  // link[c]: rank of a code c that need not occur, in 1 / 2^kFraction; empty like codes.
  std::vector<std::int32_t> link;

  void make_link() {
    if (codes.empty()) return;
    link.assign(codes.back() + 1, 0);
    for (std::size_t i = 0; i + 1 < codes.size(); ++i) {
      const int span = codes[i + 1] - codes[i];
      for (int j = 0; j <= span; ++j) {
        link[codes[i] + j] = static_cast<std::int32_t>((i << kFraction) + (j << kFraction) / span);
      }
    }
  }

  // Rank of a code, both in 1 / 2^kFraction.
  std::int32_t rank_of(std::int32_t code) const {
    if (link.empty()) return std::clamp(code, 0, top << kFraction);
    const auto last = static_cast<std::int32_t>(link.size()) - 1;
    if (code <= 0) return link[0];
    const std::int32_t whole = code >> kFraction, part = code & ((1 << kFraction) - 1);
    if (whole >= last) return link[last];
    return link[whole] + ((link[whole + 1] - link[whole]) * part >> kFraction);
  }

  std::uint16_t code_of(std::int32_t rank) const {
    return codes.empty() ? static_cast<std::uint16_t>(rank) : codes[rank];
  }

  int level(std::int32_t rank) const {
    return static_cast<int>(std::ranges::upper_bound(thresholds, rank) - thresholds.begin());
  }

  // Writes itself, or becomes what it reads; pattern and guided are known.
  template <class Coder>
  void code(Coder& coder);
};

template <class Coder>
std::int32_t code_signed(Coder& coder, MagnitudeModel& model, std::int32_t value, int bits) {
  const std::uint32_t sign = value < 0;
  const auto size = static_cast<std::uint32_t>(sign ? -value : value);
  const std::uint32_t magnitude = code_magnitude(coder, model, size, bits);
  if (magnitude == 0) return 0;
  const auto result = static_cast<std::int32_t>(magnitude);
  return coder.code_plain(sign, 1) ? -result : result;
}

template <class Coder>
void MosaicModel::code(Coder& coder) {
  MagnitudeModel gaps, curves, starts, sizes;
  top = static_cast<std::int32_t>(coder.code_plain(static_cast<std::uint32_t>(top), 16));
  if (coder.code_plain(!codes.empty(), 1)) {
    codes.resize(top + 1);
    std::int32_t last = -1;
    for (std::uint16_t& code : codes) {
      last += 1 + static_cast<std::int32_t>(
                      code_magnitude(coder, gaps, static_cast<std::uint32_t>(code - last - 1), 16));
      if (last > 0xFFFF) throw CorruptStream("a mosaic's codes are out of range");
      code = static_cast<std::uint16_t>(last);
    }
  }
  make_link();
  std::int32_t before = 0;
  for (std::int32_t& threshold : thresholds) {
    before += code_signed(coder, starts, threshold - before, 23);
    before = std::clamp(before, -kMostGuess, kMostGuess);
    threshold = before;
  }
  if (guided) {
    for (auto& color : guess) {
      for (auto& curve : color) {
        std::int32_t value = 0, slope = 0;
        for (std::int32_t& point : curve) {
          slope += code_signed(coder, curves, point - value - slope, 25);
          slope = std::clamp(slope, -kMostGuess, kMostGuess);
          value = std::clamp(value + slope, -kMostGuess, kMostGuess);
          point = value;
        }
      }
    }
  }
  weights.resize(weight_count());
  const std::size_t stride = features();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    // A class is much like the one before it.
    const bool first = i / stride % kClasses == 0;
    const std::int32_t expected = first ? 0 : weights[i - stride];
    const std::int32_t step = code_signed(coder, sizes, weights[i] - expected, 22);
    weights[i] = std::clamp(expected + step, -kMostWeight, kMostWeight);
  }
}

}  // namespace isp_meta::payload

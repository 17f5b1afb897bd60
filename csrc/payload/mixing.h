// One bit predicted by several adaptive models at once, integers only.
//
// Each model answers for a context of its own; their log-odds are added with weights that learn by
// gradient descent on the coded length which of them to believe.
//
// Source: M. Mahoney, "Adaptive weighing of context models for lossless data compression", Florida
// Tech CS-2005-16, 2005 (PAQ's logistic mixing).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "range_coder.h"

namespace isp_meta::payload {

// Log-odds ln(p / (1 - p)) in steps of 1 / 256, within -8 to 8.
inline constexpr int kMostOdds = 2047;

namespace tables {

// round(2^16 / (1 + e^-x)) for x = -8, -7.5, ... 8.
inline constexpr std::array<std::int32_t, 33> kLogistic = {
    22,    36,    60,    98,    162,   267,   439,   720,   1179,  1921,  3108,
    4971,  7812,  11955, 17625, 24743, 32768, 40793, 47911, 53581, 57724, 60565,
    62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514};

}  // namespace tables

// Chance of 2^16 of log-odds; straight lines between the table's entries.
constexpr std::int32_t squash(std::int64_t odds) {
  const std::int64_t x = odds < -kMostOdds ? 1 : odds > kMostOdds ? 4095 : odds + 2048;
  const std::int64_t low = tables::kLogistic[x >> 7], high = tables::kLogistic[(x >> 7) + 1];
  return static_cast<std::int32_t>(low + ((high - low) * (x & 127) >> 7));
}

namespace tables {

// The least log-odds whose chance is at least (i + 1/2) / 4096.
inline constexpr std::array<std::int16_t, 4096> kOdds = [] {
  std::array<std::int16_t, 4096> odds{};
  int x = -kMostOdds;
  for (int i = 0; i < 4096; ++i) {
    while (x < kMostOdds && squash(x) < 16 * i + 8) ++x;
    odds[i] = static_cast<std::int16_t>(x);
  }
  return odds;
}();

}  // namespace tables

constexpr std::int32_t stretch(std::uint32_t chance) { return tables::kOdds[chance >> 4]; }

// Weights of a set of models, in 1 / 2^16. One set serves all bits that should trust them alike.
template <std::size_t kModels>
struct MixWeights {
  std::array<std::int32_t, kModels> weight;

  explicit MixWeights(std::int32_t first = (1 << 16) * 5 / (4 * static_cast<int>(kModels))) {
    weight.fill(first);
  }
};

// A model for code(): lives for one bit, then its parts have learned.
//
//   MixedBit<2> mixed({&by_scale[s], &by_color[c]}, weights);
//   bit = coder.code(bit, mixed);
//
// kRate: weights learn faster the smaller it is; 16 suits thousands of bits, 18 millions.
template <std::size_t kModels, int kRate = 18>
class MixedBit {
 public:
  MixedBit(const std::array<AdaptiveBit*, kModels>& models, MixWeights<kModels>& weights)
      : models_(models), weights_(weights) {
    std::int64_t odds = 0;
    for (std::size_t i = 0; i < kModels; ++i) {
      odds_[i] = stretch(models[i]->chance_of_one());
      odds += std::int64_t{weights.weight[i]} * odds_[i];
    }
    chance_ = clamp_chance(squash(odds >> 16));
  }

  std::uint32_t chance_of_one() const { return chance_; }

  void update(std::uint32_t bit) {
    const std::int64_t error =
        (bit ? std::int64_t{1} << kProbabilityBits : 0) - static_cast<std::int64_t>(chance_);
    for (std::size_t i = 0; i < kModels; ++i) {
      const std::int64_t weight =
          weights_.weight[i] + ((odds_[i] * error + (1 << (kRate - 1))) >> kRate);
      weights_.weight[i] =
          static_cast<std::int32_t>(std::clamp<std::int64_t>(weight, -kMostWeight, kMostWeight));
      models_[i]->update(bit);
    }
  }

 private:
  static constexpr std::int64_t kMostWeight = 1 << 22;

  std::array<AdaptiveBit*, kModels> models_;
  MixWeights<kModels>& weights_;
  std::array<std::int32_t, kModels> odds_;
  std::uint32_t chance_;
};

}  // namespace isp_meta::payload

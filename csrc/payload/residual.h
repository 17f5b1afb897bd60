// Codes a whole number near a prediction that has a fraction.
//
// First on which side of the prediction it lies, then how far: a bit for each of the first steps,
// all of them mixed from several contexts, the rest as a magnitude.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "magnitude.h"
#include "mixing.h"

namespace isp_meta::payload {

class ResidualModel {
 public:
  static constexpr std::size_t kContexts = 5;
  static constexpr int kSlots = 512;
  static constexpr int kSteps = 8;
  static constexpr int kScales = 48;
  using Contexts = std::array<int, kContexts>;

  // Slots below kSlots of each context; scale below kScales.
  struct Situation {
    Contexts of_side, of_step;
    int scale;
  };

  // A value of 0 to most, most <= 65535; floor, 0 to most, is the whole part of its prediction.
  template <class Coder>
  int code(Coder& coder, const Situation& situation, int value, int floor, int most) {
    const bool above =
        floor < most && mixed(coder, side_, side_weights_, situation.of_side, value > floor);
    const int room = above ? most - floor - 1 : floor;
    const int wanted = above ? value - floor - 1 : floor - value;
    Contexts slots = situation.of_step;
    for (int& slot : slots) slot = 2 * slot + above;
    int steps = 0;
    while (steps < std::min(kSteps, room) &&
           mixed(coder, step_[steps], step_weights_[steps], slots, wanted > steps)) {
      ++steps;
    }
    if (steps == kSteps && room > kSteps) {
      const auto beyond = static_cast<std::uint32_t>(std::max(wanted - kSteps, 0));
      steps += static_cast<int>(code_magnitude(coder, far_[situation.scale], beyond,
                                               std::bit_width(static_cast<unsigned>(most))));
    }
    if (steps > room) throw CorruptStream("a sample's value is out of range");
    return above ? floor + 1 + steps : floor - steps;
  }

 private:
  template <std::size_t kSize>
  using Models = std::array<std::array<AdaptiveBit, kSize>, kContexts>;
  using Weights = MixWeights<kContexts>;
  static constexpr int kRate = 16;

  template <class Coder, std::size_t kSize>
  static bool mixed(Coder& coder, Models<kSize>& models, Weights& weights, const Contexts& slots,
                    bool bit) {
    std::array<AdaptiveBit*, kContexts> chosen;
    for (std::size_t i = 0; i < kContexts; ++i) chosen[i] = &models[i][slots[i]];
    MixedBit<kContexts, kRate> model(chosen, weights);
    return coder.code(bit, model) != 0;
  }

  Models<kSlots> side_;
  Weights side_weights_;
  std::array<Models<2 * kSlots>, kSteps> step_;
  std::array<Weights, kSteps> step_weights_;
  std::array<MagnitudeModel, kScales> far_;
};

}  // namespace isp_meta::payload

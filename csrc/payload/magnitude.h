// Codes a non-negative number as its bit length, in unary, then the bits below its leading one.
//
// Length and the next two bits are learned, because they hold nearly all of a distribution's shape;
// the rest is stored plain.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "range_coder.h"

namespace isp_meta::payload {

struct MagnitudeModel {
  static constexpr int kLearnedBits = 2;

  std::array<AdaptiveBit, 33> longer;
  std::array<std::array<AdaptiveBit, 1 << kLearnedBits>, 33> below;
};

// Values must be below 2^most_bits, most_bits <= 32; nothing larger is ever returned.
template <class Coder>
std::uint32_t code_magnitude(Coder& coder, MagnitudeModel& model, std::uint32_t value,
                             int most_bits) {
  const int wanted = std::bit_width(value);
  int length = 0;
  while (length < most_bits && coder.code(length < wanted, model.longer[length])) ++length;
  if (length < 2) return static_cast<std::uint32_t>(length);

  std::uint32_t result = 1;
  int left = length - 1;
  for (int i = 0; i < MagnitudeModel::kLearnedBits && left > 0; ++i) {
    --left;
    result = result << 1 | coder.code(value >> left & 1, model.below[length][result]);
  }
  const std::uint32_t plain = coder.code_plain(value & ((1u << left) - 1), left);
  return result << left | plain;
}

}  // namespace isp_meta::payload

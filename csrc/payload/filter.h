// Quantized weights of an adaptive filter, to bytes and back.
//
// A row has the weights of one phase, kind and color: 12 of each of six planes, raw's colors before
// the picture's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "range_coder.h"

namespace isp_meta::payload {

inline constexpr std::int64_t kFilterFeatures = 72;

struct FilterRows {
  std::span<const std::uint8_t> colors;  // of each row, 0 to 2
  std::int64_t before;                   // so many rows before a row stands the one that it is like
};

// Levels of (rows, 72) within ±32767.
Bytes encode_filter(std::span<const std::int16_t> levels, const FilterRows& rows);

std::vector<std::int16_t> decode_filter(std::span<const std::uint8_t> bytes,
                                        const FilterRows& rows);

}  // namespace isp_meta::payload

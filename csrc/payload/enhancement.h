// Quantized transform coefficients of what recovery misses, to bytes and back.
//
// The picture is cut into blocks of 8×8 pixels, row-major; a block has up to four channels of
// 64 coefficients, row-major, most of them 0.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "range_coder.h"

namespace isp_meta::payload {

inline constexpr std::int64_t kBlockSide = 8;
inline constexpr std::int64_t kBlockArea = kBlockSide * kBlockSide;
inline constexpr std::int64_t kMostChannels = 4;

// Blocks in each direction, and channels of a block.
struct BlockGrid {
  std::int64_t rows, columns, channels;

  std::int64_t row_levels() const { return columns * channels * kBlockArea; }
};

// Levels of (rows, columns, channels, 64) within ±32767. The bytes do not depend on threads.
Bytes encode_enhancement(std::span<const std::int16_t> levels, const BlockGrid& grid, int threads);

std::vector<std::int16_t> decode_enhancement(std::span<const std::uint8_t> bytes,
                                             const BlockGrid& grid, int threads);

}  // namespace isp_meta::payload

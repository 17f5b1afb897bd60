// Sample positions <-> bytes. The first byte names the mode; the encoder takes the smallest.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grid.h"
#include "range_coder.h"

namespace isp_meta::payload {

enum class PositionMode : std::uint8_t {
  kGrid = 0,    // every crossing of some rows and columns
  kBlocks = 1,  // how many in each block, then where
  kGaps = 2,    // distance to the one before, range coded
  kPacked = 3,  // the same, in a fixed number of bits
};

// index as checked by check_index; packed allows only the last mode.
Bytes encode_positions(std::span<const std::int64_t> index, const Grid& grid, bool packed);

// Throws CorruptStream. What it returns passes check_index and has count entries.
std::vector<std::int64_t> decode_positions(std::span<const std::uint8_t> bytes, const Grid& grid,
                                           std::size_t count);

}  // namespace isp_meta::payload

// Sample values <-> bytes, predicted from the finished picture's pixels and samples already coded.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grid.h"
#include "range_coder.h"

namespace isp_meta::payload {

// pixels: 8-bit R, G, B planes of the picture, row-major, the same ones for writer and reader.
// values: three a sample (R, G, B), none above most <= 65535; index as checked by check_index.
Bytes encode_predicted(std::span<const std::uint16_t> values, std::span<const std::int64_t> index,
                       std::span<const std::uint8_t> pixels, const Grid& grid, int most);

// Throws CorruptStream. Never reads or writes out of bounds, whatever the bytes.
std::vector<std::uint16_t> decode_predicted(std::span<const std::uint8_t> bytes,
                                            std::span<const std::int64_t> index,
                                            std::span<const std::uint8_t> pixels, const Grid& grid,
                                            int most);

}  // namespace isp_meta::payload

// Sample values <-> bytes: predicted from samples already coded, residuals through the range coder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grid.h"
#include "range_coder.h"

namespace isp_meta::payload {

// values: three a sample (R, G, B), none above most <= 65535; index as checked by check_index.
Bytes encode_values(std::span<const std::uint16_t> values, std::span<const std::int64_t> index,
                    const Grid& grid, int most);

// Throws CorruptStream. Never reads or writes out of bounds, whatever the bytes.
std::vector<std::uint16_t> decode_values(std::span<const std::uint8_t> bytes,
                                         std::span<const std::int64_t> index, const Grid& grid,
                                         int most);

}  // namespace isp_meta::payload

// A sensor's mosaic to bytes and back, to the bit.
#pragma once

#include <cstdint>
#include <span>

#include "mosaic_stripe.h"
#include "range_coder.h"

namespace isp_meta::payload {

// A guide without pixels: the mosaic is coded by itself. The bytes do not depend on threads.
Bytes encode_mosaic(std::span<const std::uint16_t> codes, std::int64_t height, std::int64_t width,
                    const Pattern& pattern, const Guide& guide, int threads);

// Needs the guide that the encoder had; another one gives CorruptStream or other codes.
std::vector<std::uint16_t> decode_mosaic(std::span<const std::uint8_t> bytes, std::int64_t height,
                                         std::int64_t width, const Pattern& pattern,
                                         const Guide& guide, int threads);

// Measures a picture; floating point, so that machines may differ in it: decoders read the result.
MosaicModel fit_mosaic(std::span<const std::uint16_t> ranks, std::int64_t height,
                       std::int64_t width, const Pattern& pattern, const Guide& guide,
                       std::vector<std::uint16_t> codes, std::int32_t top, int threads);

}  // namespace isp_meta::payload

// In place of the toolkit's header: the upper half of a float, rounded to nearest even.
#pragma once

#include <bit>
#include <cstdint>

struct __nv_bfloat16 {
  uint16_t bits = 0;

  __nv_bfloat16() = default;
  explicit __nv_bfloat16(float value) {
    const uint32_t all = std::bit_cast<uint32_t>(value);
    const bool is_nan = (all & 0x7fffffff) > 0x7f800000;
    bits = is_nan ? 0x7fff : uint16_t((all + 0x7fff + (all >> 16 & 1)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

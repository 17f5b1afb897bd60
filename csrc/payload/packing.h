// Whole numbers in a fixed number of bits each, most significant bit first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "range_coder.h"

namespace isp_meta::payload {

// value(i) for i < count, each below 2^width, width 0 to 32.
template <class Value>
void pack(Bytes& bytes, std::size_t count, int width, Value value) {
  std::uint64_t pending = 0;
  int held = 0;
  for (std::size_t i = 0; i < count; ++i) {
    pending = pending << width | value(i);
    for (held += width; held >= 8; held -= 8) {
      bytes.push_back(static_cast<std::uint8_t>(pending >> (held - 8)));
    }
  }
  if (held) bytes.push_back(static_cast<std::uint8_t>(pending << (8 - held)));
}

// Throws CorruptStream unless bytes are exactly what pack writes for count numbers.
template <class Take>
void unpack(std::span<const std::uint8_t> bytes, std::size_t count, int width, Take take) {
  if (bytes.size() != (count * static_cast<std::size_t>(width) + 7) / 8) {
    throw CorruptStream("packed data has a wrong length");
  }
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  std::uint64_t pending = 0;
  int held = 0;
  std::size_t place = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (; held < width; held += 8) pending = pending << 8 | bytes[place++];
    held -= width;
    take(i, static_cast<std::uint32_t>(pending >> held & mask));
  }
  if (pending & ((std::uint64_t{1} << held) - 1))
    throw CorruptStream("packed data has a wrong end");
}

}  // namespace isp_meta::payload

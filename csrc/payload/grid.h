// The picture that samples lie in, and the blocks that positions and values are walked by.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace isp_meta::payload {

inline constexpr std::int64_t kMostSide = 1 << 20;
inline constexpr std::int64_t kMostPixels = std::int64_t{1} << 31;
inline constexpr std::int64_t kMostSamples = 1 << 25;

struct Grid {
  std::int64_t height, width, side;

  // Without a cell of the sampler's, blocks hold one sample each on average.
  static Grid of(std::int64_t height, std::int64_t width, std::int64_t cell, std::int64_t count) {
    if (height < 1 || width < 1 || height > kMostSide || width > kMostSide ||
        height * width > kMostPixels || cell < 0 || cell > kMostSide) {
      throw std::invalid_argument("height, width or cell out of range");
    }
    if (count < 0 || count > kMostSamples || count > height * width) {
      throw std::invalid_argument("count out of range");
    }
    return {height, width,
            cell > 0 ? cell : root(height * width / std::max<std::int64_t>(count, 1))};
  }

  std::int64_t rows() const { return (height + side - 1) / side; }
  std::int64_t columns() const { return (width + side - 1) / side; }
  std::int64_t block(std::int64_t index) const {
    return index / width / side * columns() + index % width / side;
  }

 private:
  // Whole part of the square root, at least 1; value <= 2^31.
  static std::int64_t root(std::int64_t value) {
    std::int64_t low = 1, high = 46342;
    while (high - low > 1) {
      const std::int64_t middle = (low + high) / 2;
      (middle * middle <= value ? low : high) = middle;
    }
    return low;
  }
};

inline void check_index(std::span<const std::int64_t> index, const Grid& grid) {
  std::int64_t previous = -1;
  for (const std::int64_t pixel : index) {
    if (pixel <= previous || pixel >= grid.height * grid.width) {
      throw std::invalid_argument("index out of range or not strictly increasing");
    }
    previous = pixel;
  }
}

// Where samples stand in block order: by block, row-major, and by index within a block.
inline std::vector<std::uint32_t> block_order(std::span<const std::int64_t> index,
                                              const Grid& grid) {
  std::vector<std::uint64_t> keys(index.size());
  for (std::size_t i = 0; i < index.size(); ++i) {
    keys[i] = static_cast<std::uint64_t>(grid.block(index[i])) << 32 | i;
  }
  std::sort(keys.begin(), keys.end());
  std::vector<std::uint32_t> order(keys.size());
  std::transform(keys.begin(), keys.end(), order.begin(),
                 [](std::uint64_t key) { return static_cast<std::uint32_t>(key); });
  return order;
}

}  // namespace isp_meta::payload

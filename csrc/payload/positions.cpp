#include "positions.h"

#include <array>
#include <bit>
#include <memory>
#include <optional>

#include "magnitude.h"
#include "packing.h"

namespace isp_meta::payload {
namespace {

constexpr int kGapBits = 32;

// One coded bit a sample at least, none below 0.0113 bits: more cannot be in there.
void check_room(const Decoder& coder, std::size_t count) {
  if (count / 1024 > coder.size()) throw CorruptStream("too few bytes for the samples");
}

// ---- Crossings of rows and columns ----------------------------------------------------------

struct Lines {
  std::vector<std::int64_t> rows, columns;
};

std::optional<Lines> crossings(std::span<const std::int64_t> index, const Grid& grid) {
  Lines lines;
  for (const std::int64_t pixel : index) {
    const std::int64_t y = pixel / grid.width, x = pixel % grid.width;
    if (lines.rows.empty() || lines.rows.back() != y) lines.rows.push_back(y);
    if (lines.rows.size() == 1) lines.columns.push_back(x);
  }
  const std::size_t across = lines.columns.size();
  if (lines.rows.size() * across != index.size()) return std::nullopt;
  for (std::size_t i = 0; i < index.size(); ++i) {
    if (index[i] != lines.rows[i / across] * grid.width + lines.columns[i % across]) {
      return std::nullopt;
    }
  }
  return lines;
}

template <class Coder>
void code_line(Coder& coder, std::vector<std::int64_t>& line, std::int64_t end) {
  MagnitudeModel count_model, step_model;
  const std::uint32_t count =
      code_magnitude(coder, count_model, static_cast<std::uint32_t>(line.size()),
                     std::bit_width(kMostSide + 0ull));
  if (static_cast<std::int64_t>(count) > end) throw CorruptStream("too many grid lines");
  line.resize(count);
  std::int64_t next = 0;
  for (std::int64_t& place : line) {
    next += code_magnitude(coder, step_model, static_cast<std::uint32_t>(place - next), kGapBits);
    if (next >= end) throw CorruptStream("a grid line lies outside the picture");
    place = next++;
  }
}

template <class Coder>
void code_lines(Coder& coder, Lines& lines, const Grid& grid) {
  code_line(coder, lines.rows, grid.height);
  code_line(coder, lines.columns, grid.width);
}

std::vector<std::int64_t> decode_grid(Decoder& coder, const Grid& grid, std::size_t count) {
  Lines lines;
  code_lines(coder, lines, grid);
  if (lines.rows.size() * lines.columns.size() != count) {
    throw CorruptStream("grid lines and sample count differ");
  }
  std::vector<std::int64_t> index;
  index.reserve(count);
  for (const std::int64_t y : lines.rows) {
    for (const std::int64_t x : lines.columns) index.push_back(y * grid.width + x);
  }
  return index;
}

// ---- Blocks -----------------------------------------------------------------------------------

struct Point {
  std::int64_t y, x;
};

// A rectangle and its samples, as a range of the block's points.
struct Region {
  std::int64_t top, left, height, width;
  std::size_t begin, end;
  std::uint32_t path;

  std::int64_t area() const { return height * width; }
  std::size_t size() const { return end - begin; }
};

struct BlockModels {
  static constexpr std::uint32_t kPaths = 256;
  static constexpr std::size_t kFewPoints = 8;

  std::array<MagnitudeModel, 9> count;
  std::array<AdaptiveBit, kPaths> one;
  std::array<std::array<AdaptiveBit, kFewPoints>, kFewPoints> several;
  std::array<MagnitudeModel, 33> many;
};

// How many of a region's points lie in its first half.
template <class Coder>
std::size_t code_share(Coder& coder, BlockModels& models, const Region& region, std::size_t share) {
  const std::size_t size = region.size();
  if (size == 1) return coder.code(static_cast<std::uint32_t>(share), models.one[region.path]);
  if (size >= BlockModels::kFewPoints) {
    // Counts that fall short of a half become odd numbers, the others even.
    const auto half = static_cast<std::int64_t>(size / 2);
    const std::int64_t beyond = static_cast<std::int64_t>(share) - half;
    const std::int64_t code = code_magnitude(
        coder, models.many[std::bit_width(size)],
        static_cast<std::uint32_t>(beyond < 0 ? -2 * beyond - 1 : 2 * beyond), kGapBits);
    return static_cast<std::size_t>(half + (code % 2 ? -(code + 1) / 2 : code / 2));
  }
  std::size_t result = 0;
  while (result < size && coder.code(result < share, models.several[size][result])) ++result;
  return result;
}

std::array<Region, 2> halves(const Region& region) {
  Region first = region, second = region;
  if (region.height >= region.width) {
    first.height = (region.height + 1) / 2;
    second.top += first.height;
    second.height -= first.height;
  } else {
    first.width = (region.width + 1) / 2;
    second.left += first.width;
    second.width -= first.width;
  }
  // Paths deeper than the table share its entries with their ancestors.
  const bool deep = 2 * region.path + 1 >= BlockModels::kPaths;
  first.path = deep ? region.path : 2 * region.path;
  second.path = deep ? region.path : 2 * region.path + 1;
  return {first, second};
}

// Halves a block until each point stands alone in one pixel.
template <class Coder>
void code_block(Coder& coder, BlockModels& models, const Region& block, std::span<Point> points) {
  std::array<Region, 64> stack;
  std::size_t depth = 0;
  stack[depth++] = block;
  while (depth > 0) {
    const Region region = stack[--depth];
    if (region.size() == 0) continue;
    if (region.area() == 1) {
      points[region.begin] = {region.top, region.left};
      continue;
    }
    auto [first, second] = halves(region);
    const auto inside = [&half = first](const Point& point) {
      return point.y < half.top + half.height && point.x < half.left + half.width;
    };
    std::size_t share = 0;
    if constexpr (Coder::kEncodes) {
      const auto own = points.subspan(region.begin, region.size());
      share = std::partition(own.begin(), own.end(), inside) - own.begin();
    }
    share = code_share(coder, models, region, share);
    if (share > region.size() || static_cast<std::int64_t>(share) > first.area() ||
        static_cast<std::int64_t>(region.size() - share) > second.area()) {
      throw CorruptStream("more samples than pixels in a part of a block");
    }
    first.end = second.begin = region.begin + share;
    stack[depth++] = second;
    stack[depth++] = first;
  }
}

// points: in block order; the decoder fills them.
template <class Coder>
void code_blocks(Coder& coder, std::span<Point> points, const Grid& grid) {
  const auto models = std::make_unique<BlockModels>();
  std::vector<std::uint8_t> above(grid.columns(), 1);
  std::size_t done = 0;
  for (std::int64_t row = 0; row < grid.rows() && done < points.size(); ++row) {
    std::uint8_t before = 1;
    for (std::int64_t column = 0; column < grid.columns() && done < points.size(); ++column) {
      const std::int64_t top = row * grid.side, left = column * grid.side;
      const std::int64_t height = std::min(grid.side, grid.height - top);
      const std::int64_t width = std::min(grid.side, grid.width - left);
      std::size_t count = 0;
      if constexpr (Coder::kEncodes) {
        const auto here = [&](const Point& p) {
          return p.y / grid.side == row && p.x / grid.side == column;
        };
        while (done + count < points.size() && here(points[done + count])) ++count;
      }
      MagnitudeModel& model = models->count[3 * before + above[column]];
      count = code_magnitude(coder, model, static_cast<std::uint32_t>(count), kGapBits);
      if (static_cast<std::int64_t>(count) > height * width || count > points.size() - done) {
        throw CorruptStream("more samples in a block than there can be");
      }
      const Region block{top, left, height, width, 0, count, 1};
      code_block(coder, *models, block, points.subspan(done, count));
      before = above[column] = static_cast<std::uint8_t>(std::min<std::size_t>(count, 2));
      done += count;
    }
  }
  if (done < points.size()) throw CorruptStream("blocks hold too few samples");
}

Bytes encode_blocks(std::span<const std::int64_t> index, const Grid& grid) {
  std::vector<Point> points;
  points.reserve(index.size());
  for (const std::uint32_t i : block_order(index, grid)) {
    points.push_back({index[i] / grid.width, index[i] % grid.width});
  }
  Encoder coder;
  code_blocks(coder, std::span(points), grid);
  return coder.finish();
}

std::vector<std::int64_t> decode_blocks(Decoder& coder, const Grid& grid, std::size_t count) {
  check_room(coder, count);
  std::vector<Point> points(count);
  code_blocks(coder, std::span(points), grid);
  std::vector<std::int64_t> index(count);
  std::transform(points.begin(), points.end(), index.begin(),
                 [&](const Point& point) { return point.y * grid.width + point.x; });
  std::sort(index.begin(), index.end());
  return index;
}

// ---- Gaps -------------------------------------------------------------------------------------

std::uint32_t gap(std::span<const std::int64_t> index, std::size_t i) {
  return static_cast<std::uint32_t>(index[i] - (i ? index[i - 1] + 1 : 0));
}

// Appends the pixel that lies a gap behind the last one.
void step(std::vector<std::int64_t>& index, std::uint32_t gap, const Grid& grid) {
  const std::int64_t pixel = (index.empty() ? 0 : index.back() + 1) + gap;
  if (pixel >= grid.height * grid.width) throw CorruptStream("a sample lies outside the picture");
  index.push_back(pixel);
}

Bytes encode_gaps(std::span<const std::int64_t> index) {
  MagnitudeModel model;
  Encoder coder;
  for (std::size_t i = 0; i < index.size(); ++i) {
    code_magnitude(coder, model, gap(index, i), kGapBits);
  }
  return coder.finish();
}

std::vector<std::int64_t> decode_gaps(Decoder& coder, const Grid& grid, std::size_t count) {
  check_room(coder, count);
  MagnitudeModel model;
  std::vector<std::int64_t> index;
  index.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    step(index, code_magnitude(coder, model, 0, kGapBits), grid);
  }
  return index;
}

Bytes encode_packed(std::span<const std::int64_t> index) {
  std::uint32_t widest = 0;
  for (std::size_t i = 0; i < index.size(); ++i) widest |= gap(index, i);
  const int width = std::bit_width(widest);
  Bytes bytes{static_cast<std::uint8_t>(width)};
  pack(bytes, index.size(), width, [&](std::size_t i) { return gap(index, i); });
  return bytes;
}

std::vector<std::int64_t> decode_packed(std::span<const std::uint8_t> bytes, const Grid& grid,
                                        std::size_t count) {
  if (bytes.empty() || bytes[0] > 31) throw CorruptStream("packed positions have a wrong width");
  std::vector<std::int64_t> index;
  index.reserve(count);
  unpack(bytes.subspan(1), count, bytes[0],
         [&](std::size_t, std::uint32_t gap) { step(index, gap, grid); });
  return index;
}

Bytes with_mode(PositionMode mode, const Bytes& coded) {
  Bytes bytes;
  bytes.reserve(1 + coded.size());
  bytes.push_back(static_cast<std::uint8_t>(mode));
  bytes.insert(bytes.end(), coded.begin(), coded.end());
  return bytes;
}

}  // namespace

Bytes encode_positions(std::span<const std::int64_t> index, const Grid& grid, bool packed) {
  if (packed) return with_mode(PositionMode::kPacked, encode_packed(index));
  if (std::optional<Lines> lines = crossings(index, grid)) {
    Encoder coder;
    code_lines(coder, *lines, grid);
    return with_mode(PositionMode::kGrid, coder.finish());
  }
  const Bytes blocks = encode_blocks(index, grid), gaps = encode_gaps(index);
  return blocks.size() <= gaps.size() ? with_mode(PositionMode::kBlocks, blocks)
                                      : with_mode(PositionMode::kGaps, gaps);
}

std::vector<std::int64_t> decode_positions(std::span<const std::uint8_t> bytes, const Grid& grid,
                                           std::size_t count) {
  if (bytes.empty()) throw CorruptStream("positions are empty");
  const auto mode = static_cast<PositionMode>(bytes[0]);
  const auto coded = bytes.subspan(1);
  if (mode == PositionMode::kPacked) return decode_packed(coded, grid, count);

  Decoder coder(coded);
  std::vector<std::int64_t> index;
  switch (mode) {
    case PositionMode::kGrid:
      index = decode_grid(coder, grid, count);
      break;
    case PositionMode::kBlocks:
      index = decode_blocks(coder, grid, count);
      break;
    case PositionMode::kGaps:
      index = decode_gaps(coder, grid, count);
      break;
    default:
      throw CorruptStream("positions are in an unknown mode");
  }
  coder.finish();
  return index;
}

}  // namespace isp_meta::payload

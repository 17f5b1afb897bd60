// How a CPU thread walks the pixels of a row of blocks: in tiles, a few rows of a few blocks, small
// enough for the first-level cache and wide enough for whole cache lines of every plane.
#pragma once

#include <cstdint>
#include <new>
#include <type_traits>

#include "cpu/vector.h"
#include "grid.h"

namespace isp_meta::ISP_META_ISA {

constexpr int kTileWidth = 64;
constexpr int kTileHeight = 16;
// The side of blocks that are packed the fastest way.
constexpr int kSquare = 8;
// A tile laid out block after block has this many places at most.
constexpr int kPacked = 512;

ISP_META_HD constexpr int least(int a, int b) { return a < b ? a : b; }
ISP_META_HD constexpr int most(int a, int b) { return a > b ? a : b; }
ISP_META_HD constexpr int rounded_up(int a, int b) { return (a + b - 1) / b * b; }

// Room for the numbers of a tile. No vector of it straddles two cache lines.
template <class T>
class Scratch {
 public:
  explicit Scratch(size_t size) : numbers_(new (kLine) T[size]) {}
  ~Scratch() { operator delete[](numbers_, kLine); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return numbers_; }

 private:
  static constexpr std::align_val_t kLine{64};
  T* numbers_;
};

// Numbers [first, first + count) of a row of `size`, which goes on beyond its ends as it is at
// them.
template <class U>
ISP_META_HD void copy_clamped(const U* row, int size, int first, int count, U* to) {
  const int begin = most(first, 0), end = least(first + count, size);
  std::fill_n(to, begin - first, row[0]);
  std::copy(row + begin, row + end, to + begin - first);
  std::fill_n(to + end - first, first + count - end, row[size - 1]);
}

struct Tile {
  int x, width;     // columns of pixels
  int y, rows;      // rows of pixels
  unsigned exists;  // the neighbors of its blocks
  int64_t ahead;    // from a pixel to that of the tile after next
  int bx, blocks;   // what of `packed` tiles: first block, number of them
  int block_width;  // columns of each
  int pitch;        // places from one block to the next

  ISP_META_HD int block_pixels() const { return rows * block_width; }
  ISP_META_HD bool has_squares() const { return block_width == kSquare && rows == kSquare; }
};

ISP_META_HD int64_t ahead_of(Grid grid, int x, int width, int rows) {
  const int64_t ahead = 2 * width;
  return x + ahead < grid.width ? ahead : ahead + int64_t(rows - 1) * grid.width;
}

// Tiles whose pixels all have the same neighbors, for what is computed pixel by pixel. They end
// where whole cache lines do, whatever the cell.
template <class F>
ISP_META_HD void for_tiles(Grid grid, int by, const F& run) {
  const int first = grid.end_x(0), last = most(grid.begin(grid.cols() - 1), first);
  for (int y = grid.begin(by); y < grid.end_y(by); y += kTileHeight) {
    const int rows = least(kTileHeight, grid.end_y(by) - y);
    for (int x = 0; x < grid.width;) {
      const int end = x < first ? first : x < last ? last : grid.width;
      const int width = least(kTileWidth - x % kTileWidth, end - x);
      run(Tile{x, width, y, rows, grid.neighbors(by, x / grid.cell),
               ahead_of(grid, x, kTileWidth, rows), 0, 0, 0, 0});
      x += width;
    }
  }
}

// Tiles of whole blocks, or of a part of one that is large, for what is summed over blocks.
template <class T, class F>
ISP_META_HD void for_packed_tiles(Grid grid, int by, const F& run) {
  constexpr int height = 8;
  const int cols = grid.cols(), last_width = grid.width - grid.begin(cols - 1);
  for (int y = grid.begin(by); y < grid.end_y(by); y += height) {
    const int rows = least(height, grid.end_y(by) - y);
    for (int bx = 0; bx < cols;) {
      const int block = bx + 1 < cols ? grid.cell : last_width;
      for (int x = 0; x < block; x += kTileWidth) {
        const int width = least(kTileWidth, block - x);
        const int padded = rounded_up(rows * width, kLanes<T>);
        // A row that is no whole number of vectors is written with what lies beyond its end.
        const bool squares = width == kSquare && rows == kSquare;
        const int pitch = width % kLanes<T> && !squares ? padded + kLanes<T> : padded;
        int blocks = 1;
        if (block == grid.cell && width == block) {
          blocks = most(1, least(kTileWidth / block, kPacked / pitch));
          // The last column has a width of its own.
          blocks = least(blocks, last_width == block ? cols - bx : cols - 1 - bx);
        }
        run(Tile{grid.begin(bx) + x, blocks * width, y, rows, 0,
                 ahead_of(grid, grid.begin(bx) + x, blocks * width, rows), bx, blocks, width,
                 pitch});
        if (x + kTileWidth >= block) bx += blocks;
      }
    }
  }
}

// Of squares, the most frequent case; `width` is best a constant.
template <class T>
ISP_META_HD void pack_squares(const T* from, Grid grid, int64_t ahead, int width, T* to) {
  typedef T Row __attribute__((vector_size(kSquare * sizeof(T)), aligned(sizeof(T)), may_alias));
#pragma GCC unroll 8
  for (int r = 0; r < kSquare; ++r, from += grid.width) {
    prefetch(from, ahead, width);
#pragma GCC unroll 8
    for (int x = 0; x < width; x += kSquare) {
      *reinterpret_cast<Row*>(to + x * kSquare + r * kSquare) =
          *reinterpret_cast<const Row*>(from + x);
    }
  }
}

// Lays a tile of one plane out block after block, each followed by zeros up to whole vectors.
// `limit`: the end of the tensor, which reads must not pass.
template <class T>
ISP_META_HD void pack(const T* plane, const T* limit, Grid grid, Tile tile, T* to) {
  constexpr int lanes = kLanes<T>;
  const T* from = plane + int64_t(tile.y) * grid.width + tile.x;
  const bool beyond = limit - from < int64_t(tile.rows - 1) * grid.width + tile.width + lanes;
  if (tile.has_squares()) {
    if (tile.width == kTileWidth) return pack_squares(from, grid, tile.ahead, kTileWidth, to);
    return pack_squares(from, grid, tile.ahead, tile.width, to);
  }
  for (int r = 0; r < tile.rows; ++r, from += grid.width) {
    prefetch(from, tile.ahead, tile.width);
    for (int b = 0; b < tile.blocks; ++b) {
      const T* run = from + b * tile.block_width;
      T* at = to + b * tile.pitch + r * tile.block_width;
      for (int i = 0; i < tile.block_width; i += lanes) {
        const int left = tile.block_width - i;
        store(at + i, beyond ? load(run + i, left) : load(run + i));
      }
    }
  }
  const int pixels = tile.block_pixels(), padded = rounded_up(pixels, lanes);
  for (int b = 0; b < tile.blocks && pixels < padded; ++b) {
    for (int i = pixels; i < padded; ++i) to[b * tile.pitch + i] = T(0);
  }
}

// One channel of centers, laid out for the pixels of a row of a tile: to[n * kTileWidth + i] is the
// center of neighbor n of pixel i, 0 where it does not exist.
template <class T>
ISP_META_HD void expand(const T* centers, Grid grid, int by, Tile tile, T* to) {
  constexpr int lanes = kLanes<T>;
  const int first = tile.x / grid.cell;
  // Every vector lies within one block.
  const bool aligned = grid.cell % lanes == 0 && tile.x % lanes == 0;
  for (int n = 0; n < kNeighbors; ++n, to += kTileWidth) {
    if (!(tile.exists >> n & 1)) {
      for (int i = 0; i < kTileWidth; i += lanes) store(to + i, Vector<T>{});
      continue;
    }
    const T* row = centers + grid.at(by + offset_y(n), offset_x(n) + first);
    if (aligned && grid.cell == lanes) {
      for (int i = 0; i < tile.width; i += lanes) store(to + i, Vector<T>{} + *row++);
      continue;
    }
    if (aligned) {
      int left = (first + 1) * grid.cell - tile.x;
      for (int i = 0; i < tile.width; i += lanes, left -= lanes) {
        if (left == 0) {
          left = grid.cell;
          ++row;
        }
        store(to + i, Vector<T>{} + *row);
      }
      continue;
    }
    for (int i = 0, bx = first; i < tile.width; ++bx, ++row) {
      const int end = least(grid.end_x(bx) - tile.x, tile.width);
      const Vector<T> value = Vector<T>{} + *row;
      // Past the end lies what the next block overwrites; the last one writes its pixels alone.
      for (; i < end; i += lanes) store(to + i, value, i + lanes <= kTileWidth ? lanes : end - i);
      i = end;
    }
  }
}

// Calls run(whole, b, at, u, left) for every vector of pixels in rows of blocks [begin, end) of a
// batch: of `left` pixels from `at` in the planes of picture b, the center of channel c and
// neighbor n is at u[(c * kNeighbors + n) * kTileWidth]. `whole`, known when compiled: the vector
// is full and its neighbors all exist. Of `pixels`, `planes` a picture, what comes next is asked
// for.
template <class T, class F>
ISP_META_HD void for_centers(const T* centers, int channels, const T* pixels, int planes, Grid grid,
                             int64_t begin, int64_t end, const F& run) {
  const size_t size = size_t(channels) * kNeighbors * kTileWidth;
  const Scratch<T> around(size);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / grid.rows();
    const int by = int(i % grid.rows());
    for_tiles(grid, by, [&](Tile tile) {
      for (int c = 0; c < channels; ++c) {
        expand(centers + (b * channels + c) * grid.cells(), grid, by, tile,
               around.get() + c * kNeighbors * kTileWidth);
      }
      for (int y = tile.y; y < tile.y + tile.rows; ++y) {
        const int64_t at = int64_t(y) * grid.width + tile.x;
        for (int k = 0; k < planes; ++k) {
          prefetch(pixels + (b * planes + k) * grid.pixels() + at, tile.ahead, tile.width);
        }
        int x = 0;
        if (tile.exists == kAllNeighbors) {
          for (; x + kLanes<T> <= tile.width; x += kLanes<T>) {
            run(std::true_type{}, b, at + x, around.get() + x, kLanes<T>, kAllNeighbors);
          }
        }
        for (; x < tile.width; x += kLanes<T>) {
          run(std::false_type{}, b, at + x, around.get() + x, tile.width - x, tile.exists);
        }
      }
    });
  }
}

}  // namespace isp_meta::ISP_META_ISA

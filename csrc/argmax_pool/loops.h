#pragma once

#include "argmax_pool/argmax_pool.h"
#include "cpu/tiles.h"

namespace isp_meta::ISP_META_ISA {

// What argmax_pool keeps while it goes down the rows of blocks: of the last three rows the largest
// value of every block for each neighbor. Where it lies is looked up for the winner alone.
template <class T>
struct BlockMaxima {
  static constexpr int kSize = rounded_up(kNeighbors, kLanes<T>);
  const Grid grid;
  const Scratch<T> rows{size_t(3) * grid.cols() * kSize};
  const Scratch<T> packed{size_t(kNeighbors) * kPacked};

  explicit BlockMaxima(const Grid& grid) : grid(grid) {}

  T* maxima_of(int by, int bx) const {
    return rows.get() + (int64_t(by % 3) * grid.cols() + bx) * kSize;
  }

  void search_row(const T* q, const T* limit, int by) const {
    T* const row = maxima_of(by, 0);
    for (int64_t i = 0; i < int64_t(grid.cols()) * kSize; ++i) row[i] = T(0);
    for_packed_tiles<T>(grid, by, [&](Tile tile) {
      for (int n = 0; n < kNeighbors; ++n) {
        pack(q + n * grid.pixels(), limit, grid, tile, packed.get() + n * kPacked);
      }
      const int count = rounded_up(tile.block_pixels(), kLanes<T>);
      for (int b = 0; b < tile.blocks; ++b) {
        search_block(packed.get() + b * tile.pitch, count, maxima_of(by, tile.bx + b));
      }
    });
  }

  // A value that is NaN fails every comparison, and one that is not positive loses to the first 0.
  void search_block(const T* q, int count, T* maxima) const {
    Vector<T> best[kSize] = {};
    for (int p = 0; p < count; p += kLanes<T>) {
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) best[n] = Largest{}(load(q + n * kPacked + p), best[n]);
    }
    for (int i = 0; i < kSize; i += kLanes<T>) {
      store(maxima + i, Largest{}(fold_lanes<T>(best + i, Largest{}), load(maxima + i)));
    }
  }

  int64_t find(const T* plane, T value, int by, int bx) const {
    for (int y = grid.begin(by); y < grid.end_y(by); ++y) {
      for (int x = grid.begin(bx); x < grid.end_x(bx); ++x) {
        const int64_t at = int64_t(y) * grid.width + x;
        if (plane[at] == value) return at;
      }
    }
    return -1;
  }

  int64_t choose(const T* q, int cy, int cx) const {
    T best = T(0);
    for_blocks(grid, cy, cx,
               [&](int by, int bx, int n) { best = Largest{}(maxima_of(by, bx)[n], best); });
    int64_t index = -1;
    if (!(best > T(0))) return index;
    for_blocks(grid, cy, cx, [&](int by, int bx, int n) {
      if (maxima_of(by, bx)[n] != best) return;
      const int64_t at = find(q + n * grid.pixels(), best, by, bx);
      if (index < 0 || at < index) index = at;
    });
    return index;
  }
};

template <class T>
void argmax_pool(const T* association, int64_t* index, int64_t batch, Grid grid, int64_t begin,
                 int64_t end) {
  const int64_t nine = kNeighbors * grid.pixels();
  const BlockMaxima<T> blocks(grid);
  int next = 0;
  for (int64_t i = begin; i < end; ++i) {
    const T* q = association + i / grid.rows() * nine;
    const int cy = int(i % grid.rows());
    if (i == begin || cy == 0) next = most(cy - 1, 0);
    for (; next < least(cy + 2, grid.rows()); ++next) {
      blocks.search_row(q, association + batch * nine, next);
    }
    for (int cx = 0; cx < grid.cols(); ++cx) {
      index[i * grid.cols() + cx] = blocks.choose(q, cy, cx);
    }
  }
}

template void argmax_pool(const float*, int64_t*, int64_t, Grid, int64_t, int64_t);
template void argmax_pool(const double*, int64_t*, int64_t, Grid, int64_t, int64_t);

}  // namespace isp_meta::ISP_META_ISA

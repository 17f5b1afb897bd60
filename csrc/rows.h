// How the CPU walks a picture: rows of cells in parallel, tiles of columns within them, loops over
// pixels that become vector instructions. Each output has one writer and a fixed order of sums, so
// results do not depend on the number of threads.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <array>
#include <memory>

#include "grid.h"

// Compiled twice, the loader picks by processor: four floats at a time or eight.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
#define ISP_META_VECTORIZED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define ISP_META_VECTORIZED
#endif

namespace isp_meta {

// Columns of centers laid out beside the pixels that use them; nine rows of it fit the first-level
// cache.
constexpr int kTile = 256;

// Calls row(batch, cy) for every row of cells.
template <class F>
void for_cell_rows(int64_t batch, Grid grid, const F& row) {
  const int64_t rows = grid.rows();
  const int64_t pixels = int64_t(grid.cell) * grid.width;
  const int64_t grain = std::max<int64_t>(1, (int64_t(1) << 14) / pixels);
  torch::stable::parallel_for(0, batch * rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) row(i / rows, int(i % rows));
  });
}

// Ends of the three stretches of a pixel row whose blocks have the same neighbors: first block,
// inner blocks, last block. Some may be empty.
inline std::array<int, 3> stretches(Grid grid) {
  const int last = grid.begin(grid.cols() - 1);
  return {grid.end_x(0), std::max(last, grid.end_x(0)), grid.width};
}

// One channel of centers, laid out for the pixels [x0, x0 + count) of a row of blocks:
// tile[n * kTile + i] = center of neighbor n of pixel x0 + i, 0 where it does not exist.
template <class A>
inline void expand(const A* centers, Grid grid, int by, int x0, int count, A* tile) {
  const int cols = grid.cols();
  for (int n = 0; n < kNeighbors; ++n) {
    const int cy = by + offset_y(n);
    for (int i = 0; i < count;) {
      const int bx = (x0 + i) / grid.cell;
      const int cx = bx + offset_x(n);
      const A value = grid.exists(cy, cx) ? centers[int64_t(cy) * cols + cx] : A(0);
      const int end = std::min(grid.end_x(bx) - x0, count);
      for (; i < end; ++i) tile[n * kTile + i] = value;
    }
  }
}

// Calls run(x, count, exists) along a row of blocks: `count` columns from x, whose pixels all have
// the neighbors `exists`.
template <class F>
void for_tiles(Grid grid, int by, const F& run) {
  int begin = 0;
  for (const int end : stretches(grid)) {
    for (int x = begin; x < end; x += kTile) {
      run(x, std::min(kTile, end - x), grid.neighbors(by, x / grid.cell));
    }
    begin = end;
  }
}

// Calls run(at, count, exists) for every pixel of a row of blocks, in the order of memory.
template <class F>
void for_pixels(Grid grid, int by, const F& run) {
  for (int y = grid.begin(by); y < grid.end_y(by); ++y) {
    for_tiles(grid, by, [&](int x, int count, unsigned exists) {
      run(int64_t(y) * grid.width + x, count, exists);
    });
  }
}

// The same, tile by tile, with the centers of those pixels beside them: run(tile, at, count,
// exists).
template <class A, class F>
void for_centers(const A* centers, int channels, Grid grid, int by, const F& run) {
  const auto tile = std::make_unique_for_overwrite<A[]>(size_t(channels) * kNeighbors * kTile);
  for_tiles(grid, by, [&](int x, int count, unsigned exists) {
    for (int c = 0; c < channels; ++c) {
      expand(centers + c * grid.cells(), grid, by, x, count, &tile[c * kNeighbors * kTile]);
    }
    for (int y = grid.begin(by); y < grid.end_y(by); ++y) {
      run(tile.get(), int64_t(y) * grid.width + x, count, exists);
    }
  });
}

}  // namespace isp_meta

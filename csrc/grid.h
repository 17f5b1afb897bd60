// The grid of cells over a picture, the order of neighbors, and what happens at the border.
//
//     0 1 2     index n of q(n, p) means the cell at that place around pixel p's own cell, 4;
//     3 4 5     read the other way, pixel p of block (by, bx) counts for cell (cy, cx) under
//     6 7 8     n = neighbor(cy - by, cx - bx).
//
// Cells are `cell` pixels square; those at the right and bottom border may be partial. A neighbor
// outside the grid does not exist: it takes no mass, and contributes nothing.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace isp_meta {

constexpr int kNeighbors = 9;
constexpr unsigned kAllNeighbors = (1u << kNeighbors) - 1;

ISP_META_HD constexpr int neighbor(int dy, int dx) { return (dy + 1) * 3 + dx + 1; }
ISP_META_HD constexpr int offset_y(int n) { return n / 3 - 1; }
ISP_META_HD constexpr int offset_x(int n) { return n % 3 - 1; }

struct Grid {
  int height, width, cell;

  ISP_META_HD constexpr Grid(int height, int width, int cell)
      : height(height),
        width(width),
        cell(cell),
        rows_((height - 1) / cell + 1),
        cols_((width - 1) / cell + 1) {}

  ISP_META_HD int rows() const { return rows_; }
  ISP_META_HD int cols() const { return cols_; }
  ISP_META_HD int64_t pixels() const { return int64_t(height) * width; }
  ISP_META_HD int64_t cells() const { return int64_t(rows()) * cols(); }

  // Place of a cell, or of its block, among all.
  ISP_META_HD int64_t at(int cy, int cx) const { return int64_t(cy) * cols() + cx; }

  ISP_META_HD int begin(int block) const { return block * cell; }
  ISP_META_HD int end_y(int by) const { return by + 1 < rows() ? (by + 1) * cell : height; }
  ISP_META_HD int end_x(int bx) const { return bx + 1 < cols() ? (bx + 1) * cell : width; }

  ISP_META_HD int64_t pixels_of(int by, int bx) const {
    return int64_t(end_y(by) - begin(by)) * (end_x(bx) - begin(bx));
  }

  ISP_META_HD bool exists(int cy, int cx) const {
    return cy >= 0 && cy < rows() && cx >= 0 && cx < cols();
  }

  // Bit n: neighbor n of this block exists.
  ISP_META_HD unsigned neighbors(int by, int bx) const {
    const unsigned beside = (bx > 0 ? 1u : 0u) | 2u | (bx + 1 < cols_ ? 4u : 0u);
    return (by > 0 ? beside : 0u) | beside << 3 | (by + 1 < rows_ ? beside << 6 : 0u);
  }

 private:
  int rows_, cols_;  // a division each, which is what costs most on a GPU
};

// Calls run(exists), which is a constant where all neighbors exist, as they do for nearly all.
template <class F>
ISP_META_HD void with_neighbors(unsigned exists, const F& run) {
  if (exists == kAllNeighbors) {
    run(kAllNeighbors);
  } else {
    run(exists);
  }
}

// A cell of a batch, or its block.
struct Cell {
  int64_t batch, at;  // at: in a plane of cells
  int y, x;

  ISP_META_HD Cell(Grid grid, int64_t batch, int y, int x)
      : batch(batch), at(grid.at(y, x)), y(y), x(x) {}

  // The i-th, counted through the batch.
  ISP_META_HD Cell(Grid grid, int64_t i)
      : batch(i / grid.cells()),
        at(i % grid.cells()),
        y(int(at / grid.cols())),
        x(int(at % grid.cols())) {}

  ISP_META_HD int64_t in_batch(Grid grid) const { return batch * grid.cells() + at; }
};

// Calls run(by, bx, n) for the blocks around a cell, in order; it is their neighbor n.
template <class F>
ISP_META_HD void for_blocks(Grid grid, int cy, int cx, const F& run) {
  for (int by = cy > 0 ? cy - 1 : 0; by <= cy + 1 && by < grid.rows(); ++by) {
    for (int bx = cx > 0 ? cx - 1 : 0; bx <= cx + 1 && bx < grid.cols(); ++bx) {
      run(by, bx, neighbor(cy - by, cx - bx));
    }
  }
}

}  // namespace isp_meta

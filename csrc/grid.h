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

  ISP_META_HD int rows() const { return (height - 1) / cell + 1; }
  ISP_META_HD int cols() const { return (width - 1) / cell + 1; }
  ISP_META_HD int64_t pixels() const { return int64_t(height) * width; }
  ISP_META_HD int64_t cells() const { return int64_t(rows()) * cols(); }

  // Place of a cell, or of its block, among all.
  ISP_META_HD int64_t at(int cy, int cx) const { return int64_t(cy) * cols() + cx; }

  ISP_META_HD int begin(int block) const { return block * cell; }
  ISP_META_HD int end_y(int by) const { return by + 1 < rows() ? (by + 1) * cell : height; }
  ISP_META_HD int end_x(int bx) const { return bx + 1 < cols() ? (bx + 1) * cell : width; }

  ISP_META_HD bool exists(int cy, int cx) const {
    return cy >= 0 && cy < rows() && cx >= 0 && cx < cols();
  }

  // Bit n: neighbor n of this block exists.
  ISP_META_HD unsigned neighbors(int by, int bx) const {
    unsigned bits = 0;
    for (int n = 0; n < kNeighbors; ++n) {
      bits |= unsigned(exists(by + offset_y(n), bx + offset_x(n))) << n;
    }
    return bits;
  }
};

// The i-th pixel of a batch, counted through it.
struct Pixel {
  int64_t batch, at;  // at: in a plane
  int by, bx;         // its block

  ISP_META_HD Pixel(Grid grid, int64_t i)
      : batch(i / grid.pixels()),
        at(i % grid.pixels()),
        by(int(at / grid.width) / grid.cell),
        bx(int(at % grid.width) / grid.cell) {}
};

// The i-th cell of a batch, counted through it, or its block.
struct Cell {
  int64_t batch, at;  // at: in a plane of cells
  int y, x;

  ISP_META_HD Cell(Grid grid, int64_t i)
      : batch(i / grid.cells()),
        at(i % grid.cells()),
        y(int(at / grid.cols())),
        x(int(at % grid.cols())) {}
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

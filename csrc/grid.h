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

}  // namespace isp_meta

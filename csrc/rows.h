// How the CPU shares a picture out: rows of cells, in parallel. Each output has one writer and a
// fixed order of sums, so results do not depend on the number of threads.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>

#include "grid.h"

// Compiled twice, the loader picks by processor: for loops that become vector instructions. What is
// written in vectors is compiled twice by avx2.cpp and baseline.cpp instead.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
#define ISP_META_VECTORIZED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define ISP_META_VECTORIZED
#endif

namespace isp_meta {

// Calls run(begin, end) for stretches of the rows of cells of a batch, of `least` rows and
// 2^14 pixels at least.
template <class F>
void for_row_ranges(int64_t batch, Grid grid, int64_t least, const F& run) {
  const int64_t pixels = int64_t(grid.cell) * grid.width;
  const int64_t grain = std::max(least, (int64_t(1) << 14) / pixels);
  torch::stable::parallel_for(0, batch * grid.rows(), grain, run);
}

// Calls row(batch, cy) for every row of cells.
template <class F>
void for_cell_rows(int64_t batch, Grid grid, const F& row) {
  for_row_ranges(batch, grid, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) row(i / grid.rows(), int(i % grid.rows()));
  });
}

}  // namespace isp_meta

// How the CPU shares a picture out: rows of cells, in parallel. Each output has one writer and a
// fixed order of sums, so results do not depend on the number of threads.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>

#include "grid.h"

namespace isp_meta {

// Calls run(begin, end) for stretches of the rows of cells of a batch, of `least` rows and
// 2^14 pixels at least.
template <class F>
void for_row_ranges(int64_t batch, Grid grid, int64_t least, const F& run) {
  const int64_t pixels = int64_t(grid.cell) * grid.width;
  const int64_t grain = std::max(least, (int64_t(1) << 14) / pixels);
  torch::stable::parallel_for(0, batch * grid.rows(), grain, run);
}

}  // namespace isp_meta

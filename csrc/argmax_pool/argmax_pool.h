// The sample of a cell: the pixel of its nine blocks that belongs to it most.
//
//     p*(cell) = argmax over p of q(n, p), n = place of the cell around p's own
//
// Nam et al., CVPR 2022, Eq. 3. Of equal values the lowest pixel index wins, whatever the order of
// the search; a value that is not positive, or NaN, never wins; -1 where none does.
#pragma once

#include "dtype.h"
#include "grid.h"

namespace isp_meta {

template <class T>
ISP_META_HD int64_t argmax_pool(const T* association, Grid grid, int cy, int cx) {
  using A = AccumulateType<T>;
  A best = A(0);
  int64_t best_index = -1;
  for (int by = cy > 0 ? cy - 1 : 0; by <= cy + 1 && by < grid.rows(); ++by) {
    for (int bx = cx > 0 ? cx - 1 : 0; bx <= cx + 1 && bx < grid.cols(); ++bx) {
      const T* plane = association + neighbor(cy - by, cx - bx) * grid.pixels();
      for (int y = grid.begin(by); y < grid.end_y(by); ++y) {
        for (int x = grid.begin(bx); x < grid.end_x(bx); ++x) {
          const int64_t index = int64_t(y) * grid.width + x;
          const A value = A(plane[index]);
          // Written so that NaN fails both comparisons.
          if (value > best || (value == best && index < best_index)) {
            best = value;
            best_index = index;
          }
        }
      }
    }
  }
  return best_index;
}

const char* launch_argmax_pool(const Launch& on, const void* association, int64_t* index,
                               int64_t batch, Grid grid);

}  // namespace isp_meta

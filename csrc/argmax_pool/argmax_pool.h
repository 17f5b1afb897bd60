// The sample of a cell: the pixel of its nine blocks that belongs to it most.
//
//     p*(cell) = argmax over p of q(n, p), n = place of the cell around p's own
//
// Nam et al., CVPR 2022, Eq. 3. Of equal values the lowest pixel index wins, whatever the order of
// the search; a value that is not positive, or NaN, never wins; -1 where none does.
#pragma once

#include "cpu/dispatch.h"
#include "dtype.h"
#include "grid.h"

namespace isp_meta {

const char* launch_argmax_pool(const Launch& on, const void* association, int64_t* index,
                               int64_t batch, Grid grid);

}  // namespace isp_meta

ISP_META_EACH_ISA(
    // Rows of cells [begin, end) of a batch, counted through it.
    template <class T> void argmax_pool(const T* association, int64_t* index, int64_t batch,
                                        Grid grid, int64_t begin, int64_t end);)

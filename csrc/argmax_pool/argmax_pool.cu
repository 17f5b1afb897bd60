#include "argmax_pool/argmax_pool.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T>
__global__ void argmax_pool_kernel(const T* __restrict__ association, int64_t* __restrict__ index,
                                   Grid grid, int64_t batch) {
  const Cell cell = cell_in_row(grid, int(thread_index()));
  if (cell.x >= grid.cols() || cell.batch >= batch) return;
  association += cell.batch * kNeighbors * grid.pixels();
  using A = AccumulateType<T>;
  A best = A(0);
  int64_t best_at = -1;
  for_blocks(grid, cell.y, cell.x, [&](int by, int bx, int n) {
    const T* plane = association + n * grid.pixels();
    for (int y = grid.begin(by); y < grid.end_y(by); ++y) {
      for (int x = grid.begin(bx); x < grid.end_x(bx); ++x) {
        const int64_t at = int64_t(y) * grid.width + x;
        const A value = A(plane[at]);
        // Written so that NaN fails both comparisons.
        if (value > best || (value == best && at < best_at)) {
          best = value;
          best_at = at;
        }
      }
    }
  });
  index[cell.in_batch(grid)] = best_at;
}

}  // namespace

const char* launch_argmax_pool(const Launch& on, const void* association, int64_t* index,
                               int64_t batch, Grid grid) {
  const int64_t rows = batch * grid.rows();
  return launch_threads(on, grid.cols(), rows, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(argmax_pool_kernel<T>, blocks, kThreads, 0, stream,
                    static_cast<const T*>(association), index, grid, batch);
  });
}

}  // namespace isp_meta

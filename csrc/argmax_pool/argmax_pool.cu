#include "argmax_pool/argmax_pool.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T>
__global__ void argmax_pool_kernel(const T* association, int64_t* index, Grid grid, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int cx = int(i % grid.cols()), cy = int(i / grid.cols() % grid.rows());
  const int64_t batch = i / grid.cells();
  index[i] = argmax_pool(association + batch * kNeighbors * grid.pixels(), grid, cy, cx);
}

}  // namespace

const char* launch_argmax_pool(const Launch& on, const void* association, int64_t* index,
                               int64_t batch, Grid grid) {
  const int64_t count = batch * grid.cells();
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(argmax_pool_kernel<T>, blocks, kThreads, stream,
                    static_cast<const T*>(association), index, grid, count);
  });
}

}  // namespace isp_meta

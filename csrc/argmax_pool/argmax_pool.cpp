#include "argmax_pool/argmax_pool.h"

#include "cpu/rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

Tensor argmax_pool_op(const Tensor& association_any, int64_t cell) {
  const Grid grid = grid_of(association_any, cell);
  const int64_t batch = association_any.size(0);
  check_shape(association_any, {batch, kNeighbors, grid.height, grid.width});
  const Tensor association = torch::stable::contiguous(association_any);
  Tensor index =
      torch::stable::new_empty(association, {batch, grid.rows(), grid.cols()}, ScalarType::Long);
  int64_t* to = index.mutable_data_ptr<int64_t>();
  if (association.is_cuda()) {
    ISP_META_ON_CUDA(association, launch_argmax_pool, association.const_data_ptr(), to, batch,
                     grid);
    return index;
  }
  with_cpu_dtype(association, [&]<class T>(T) {
    const T* from = association.const_data_ptr<T>();
    for_row_ranges(batch, grid, 8, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(argmax_pool<T>)(from, to, batch, grid, begin, end);
    });
  });
  return index;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def("argmax_pool(Tensor association, int cell) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("argmax_pool", TORCH_BOX(&argmax_pool_op));)

}  // namespace isp_meta

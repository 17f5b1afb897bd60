#include "associate_features/associate_features.h"

#include "cpu/rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

Tensor associate_features_op(const Tensor& features_any, const Tensor& centers_any, int64_t cell,
                             double scale) {
  const Grid grid = grid_of(features_any, cell);
  const int64_t batch = features_any.size(0), channels = features_any.size(1);
  check_shape(centers_any, {batch, channels, grid.rows(), grid.cols()});
  const Tensor features = torch::stable::contiguous(features_any);
  const Tensor centers = operand(centers_any, features, center_dtype(features));
  Tensor association =
      torch::stable::new_empty(features, {batch, kNeighbors, grid.height, grid.width});
  if (features.is_cuda()) {
    ISP_META_ON_CUDA(features, launch_associate_features, features.const_data_ptr(),
                     centers.const_data_ptr(), association.mutable_data_ptr(), batch, int(channels),
                     grid, scale);
    return association;
  }
  with_cpu_dtype(features, [&]<class T>(T) {
    const T* pixels = features.const_data_ptr<T>();
    const T* cells = centers.const_data_ptr<T>();
    T* to = association.mutable_data_ptr<T>();
    for_row_ranges(batch, grid, 1, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(associate_features<T>)(pixels, cells, to, batch, int(channels), grid,
                                              T(scale), begin, end);
    });
  });
  return association;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def("associate_features(Tensor features, Tensor centers, int cell, float scale) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("associate_features", TORCH_BOX(&associate_features_op));)

}  // namespace isp_meta

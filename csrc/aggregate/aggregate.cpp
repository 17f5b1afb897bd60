#include "aggregate/aggregate.h"

#include "cpu/rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

// Rows of blocks beside a stretch are summed again by its neighbor: stretches are not too short.
constexpr int64_t kLeastRows = 8;

Tensor accumulate_op(const Tensor& features_any, const Tensor& association_any, int64_t cell) {
  const Grid grid = grid_of(features_any, cell);
  const int64_t batch = features_any.size(0), channels = features_any.size(1);
  check_shape(association_any, {batch, kNeighbors, grid.height, grid.width});
  const Tensor features = torch::stable::contiguous(features_any);
  const Tensor association = operand(association_any, features, features.scalar_type());
  Tensor sums = torch::stable::new_empty(features, {batch, channels + 1, grid.rows(), grid.cols()},
                                         center_dtype(features));
  if (features.is_cuda()) {
    Tensor blocks = torch::stable::new_empty(
        features, {batch, grid.cells(), kNeighbors, channels + 1}, sums.scalar_type());
    ISP_META_ON_CUDA(features, launch_accumulate, features.const_data_ptr(),
                     association.const_data_ptr(), blocks.mutable_data_ptr(),
                     sums.mutable_data_ptr(), batch, int(channels), grid);
    return sums;
  }
  with_cpu_dtype(features, [&]<class T>(T) {
    const T* from = features.const_data_ptr<T>();
    const T* weights = association.const_data_ptr<T>();
    T* to = sums.mutable_data_ptr<T>();
    for_row_ranges(batch, grid, kLeastRows, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(accumulate<T>)(from, weights, to, batch, int(channels), grid, begin, end);
    });
  });
  return sums;
}

Tensor distribute_op(const Tensor& centers_any, const Tensor& association_any, int64_t cell) {
  const Grid grid = grid_of(association_any, cell);
  STD_TORCH_CHECK(centers_any.dim() == 4, "centers have 4 dimensions, not ", centers_any.dim());
  const int64_t batch = association_any.size(0), channels = centers_any.size(1);
  check_shape(association_any, {batch, kNeighbors, grid.height, grid.width});
  check_shape(centers_any, {batch, channels, grid.rows(), grid.cols()});
  const Tensor association = torch::stable::contiguous(association_any);
  const Tensor centers = operand(centers_any, association, center_dtype(association));
  Tensor pixels = torch::stable::new_empty(association, {batch, channels, grid.height, grid.width});
  if (association.is_cuda()) {
    ISP_META_ON_CUDA(association, launch_distribute, centers.const_data_ptr(),
                     association.const_data_ptr(), pixels.mutable_data_ptr(), batch, int(channels),
                     grid);
    return pixels;
  }
  with_cpu_dtype(association, [&]<class T>(T) {
    const T* from = centers.const_data_ptr<T>();
    const T* weights = association.const_data_ptr<T>();
    T* to = pixels.mutable_data_ptr<T>();
    for_row_ranges(batch, grid, 1, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(distribute<T>)(from, weights, to, batch, int(channels), grid, begin, end);
    });
  });
  return pixels;
}

Tensor correlate_op(const Tensor& features_any, const Tensor& centers_any, int64_t cell) {
  const Grid grid = grid_of(features_any, cell);
  const int64_t batch = features_any.size(0), channels = features_any.size(1);
  check_shape(centers_any, {batch, channels + 1, grid.rows(), grid.cols()});
  const Tensor features = torch::stable::contiguous(features_any);
  const Tensor centers = operand(centers_any, features, center_dtype(features));
  Tensor association =
      torch::stable::new_empty(features, {batch, kNeighbors, grid.height, grid.width});
  if (features.is_cuda()) {
    ISP_META_ON_CUDA(features, launch_correlate, features.const_data_ptr(),
                     centers.const_data_ptr(), association.mutable_data_ptr(), batch, int(channels),
                     grid);
    return association;
  }
  with_cpu_dtype(features, [&]<class T>(T) {
    const T* pixels = features.const_data_ptr<T>();
    const T* from = centers.const_data_ptr<T>();
    T* to = association.mutable_data_ptr<T>();
    for_row_ranges(batch, grid, 1, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(correlate<T>)(pixels, from, to, batch, int(channels), grid, begin, end);
    });
  });
  return association;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def("accumulate(Tensor features, Tensor association, int cell) -> Tensor");
  m.def("distribute(Tensor centers, Tensor association, int cell) -> Tensor");
  m.def("correlate(Tensor features, Tensor centers, int cell) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("accumulate", TORCH_BOX(&accumulate_op));
                         m.impl("distribute", TORCH_BOX(&distribute_op));
                         m.impl("correlate", TORCH_BOX(&correlate_op));)

}  // namespace isp_meta

#include "associate_features/associate_features.h"

#include "rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

template <class T, class A>
ISP_META_VECTORIZED void associate_features_tile(const T* features, int64_t plane, const A* centers,
                                                 int channels, A scale, unsigned exists,
                                                 T* association, int count) {
  A z[kNeighbors * kTile];
  for (int n = 0; n < kNeighbors; ++n) {
    feature_logit(features, plane, centers + n * kTile, kNeighbors * kTile, channels, scale,
                  z + n * kTile, count);
  }
  softmax<kTile>(z, exists, count);
  for (int n = 0; n < kNeighbors; ++n) {
    for (int x = 0; x < count; ++x) association[n * plane + x] = T(z[n * kTile + x]);
  }
}

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
    const int64_t plane = grid.pixels();
    for_cell_rows(batch, grid, [&](int64_t b, int by) {
      for_centers(cells + b * channels * grid.cells(), int(channels), grid, by,
                  [&](const T* tile, int64_t at, int count, unsigned exists) {
                    associate_features_tile(pixels + b * channels * plane + at, plane, tile,
                                            int(channels), T(scale), exists,
                                            to + b * kNeighbors * plane + at, count);
                  });
    });
  });
  return association;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def("associate_features(Tensor features, Tensor centers, int cell, float scale) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CPU, m) {
  m.impl("associate_features", TORCH_BOX(&associate_features_op));
}

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CUDA, m) {
  m.impl("associate_features", TORCH_BOX(&associate_features_op));
}

}  // namespace isp_meta

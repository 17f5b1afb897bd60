#include "aggregate/aggregate.h"

#include <memory>

#include "rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

// columns[(c * 3 + dx + 1) * pitch + x]: the sum of channel c down a column of pixels, over the
// rows of blocks around cy, for the cells dx to the side of the column's own block.
template <class T, class A>
ISP_META_VECTORIZED void sum_columns(const T* features, const T* association, Grid grid, int cy,
                                     int channels, int x0, int count, A* columns, int pitch) {
  std::fill_n(columns, size_t(channels + 1) * 3 * pitch, A(0));
  for (int by = std::max(cy - 1, 0); by <= std::min(cy + 1, grid.rows() - 1); ++by) {
    for (int y = grid.begin(by); y < grid.end_y(by); ++y) {
      const int64_t at = int64_t(y) * grid.width + x0;
      for (int dx = -1; dx <= 1; ++dx) {
        const T* weights = association + neighbor(cy - by, dx) * grid.pixels() + at;
        A* sums = columns + (dx + 1) * pitch;
        for (int c = 0; c < channels; ++c, sums += 3 * pitch) {
          add_products(features + c * grid.pixels() + at, weights, sums, count);
        }
        add(weights, sums, count);
      }
    }
  }
}

// The sums of one row of cells: down the columns first, then block by block, left to right.
template <class T, class A>
void accumulate_row(const T* features, const T* association, A* sums, Grid grid, int cy,
                    int channels) {
  const int cols = grid.cols(), span = std::max(kTile / grid.cell, 1), pitch = span * grid.cell;
  const auto columns = std::make_unique_for_overwrite<A[]>(size_t(channels + 1) * 3 * pitch);
  A* row = sums + int64_t(cy) * cols;
  for (int c = 0; c <= channels; ++c) std::fill_n(row + c * grid.cells(), cols, A(0));
  for (int bx = 0; bx < cols; bx += span) {
    const int end = std::min(bx + span, cols), x = grid.begin(bx);
    sum_columns(features, association, grid, cy, channels, x, grid.end_x(end - 1) - x,
                columns.get(), pitch);
    for (int b = bx; b < end; ++b) {
      for (int dx = -1; dx <= 1; ++dx) {
        if (b + dx < 0 || b + dx >= cols) continue;
        for (int c = 0; c <= channels; ++c) {
          const A* column = &columns[(size_t(c) * 3 + dx + 1) * pitch] - x;
          A sum = A(0);
          for (int i = grid.begin(b); i < grid.end_x(b); ++i) sum += column[i];
          row[c * grid.cells() + b + dx] += sum;
        }
      }
    }
  }
}

template <class T, class A>
ISP_META_VECTORIZED void distribute_tile(const A* centers, const T* association, int64_t plane,
                                         unsigned exists, int channels, T* pixels, int count) {
  for (int c = 0; c < channels; ++c, centers += kNeighbors * kTile, pixels += plane) {
    A sums[kTile] = {};
    for (int n = 0; n < kNeighbors; ++n) {
      if (!(exists >> n & 1)) continue;
      add_products(association + n * plane, centers + n * kTile, sums, count);
    }
    for (int x = 0; x < count; ++x) pixels[x] = T(sums[x]);
  }
}

template <class T, class A>
ISP_META_VECTORIZED void correlate_tile(const T* features, int64_t plane, const A* centers,
                                        int channels, unsigned exists, T* association, int count) {
  for (int n = 0; n < kNeighbors; ++n, centers += kTile, association += plane) {
    A sums[kTile] = {};
    if (exists >> n & 1) {
      add(centers + channels * kNeighbors * kTile, sums, count);
      for (int c = 0; c < channels; ++c) {
        add_products(features + c * plane, centers + c * kNeighbors * kTile, sums, count);
      }
    }
    for (int x = 0; x < count; ++x) association[x] = T(sums[x]);
  }
}

Tensor accumulate_op(const Tensor& features_any, const Tensor& association_any, int64_t cell) {
  const Grid grid = grid_of(features_any, cell);
  const int64_t batch = features_any.size(0), channels = features_any.size(1);
  check_shape(association_any, {batch, kNeighbors, grid.height, grid.width});
  const Tensor features = torch::stable::contiguous(features_any);
  const Tensor association = operand(association_any, features, features.scalar_type());
  Tensor sums = torch::stable::new_empty(features, {batch, channels + 1, grid.rows(), grid.cols()},
                                         center_dtype(features));
  if (features.is_cuda()) {
    ISP_META_ON_CUDA(features, launch_accumulate, features.const_data_ptr(),
                     association.const_data_ptr(), sums.mutable_data_ptr(), batch, int(channels),
                     grid);
    return sums;
  }
  with_cpu_dtype(features, [&]<class T>(T) {
    const T* from = features.const_data_ptr<T>();
    const T* weights = association.const_data_ptr<T>();
    T* to = sums.mutable_data_ptr<T>();
    for_cell_rows(batch, grid, [&](int64_t b, int cy) {
      accumulate_row(from + b * channels * grid.pixels(), weights + b * kNeighbors * grid.pixels(),
                     to + b * (channels + 1) * grid.cells(), grid, cy, int(channels));
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
    const int64_t plane = grid.pixels();
    for_cell_rows(batch, grid, [&](int64_t b, int by) {
      for_centers(from + b * channels * grid.cells(), int(channels), grid, by,
                  [&](const T* tile, int64_t at, int count, unsigned exists) {
                    distribute_tile(tile, weights + b * kNeighbors * plane + at, plane, exists,
                                    int(channels), to + b * channels * plane + at, count);
                  });
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
    const int64_t plane = grid.pixels();
    for_cell_rows(batch, grid, [&](int64_t b, int by) {
      for_centers(from + b * (channels + 1) * grid.cells(), int(channels) + 1, grid, by,
                  [&](const T* tile, int64_t at, int count, unsigned exists) {
                    correlate_tile(pixels + b * channels * plane + at, plane, tile, int(channels),
                                   exists, to + b * kNeighbors * plane + at, count);
                  });
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

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CPU, m) {
  m.impl("accumulate", TORCH_BOX(&accumulate_op));
  m.impl("distribute", TORCH_BOX(&distribute_op));
  m.impl("correlate", TORCH_BOX(&correlate_op));
}

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CUDA, m) {
  m.impl("accumulate", TORCH_BOX(&accumulate_op));
  m.impl("distribute", TORCH_BOX(&distribute_op));
  m.impl("correlate", TORCH_BOX(&correlate_op));
}

}  // namespace isp_meta

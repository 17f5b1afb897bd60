#include "local_rbf/local_rbf.h"

#include "local_rbf/systems.h"
#include "tensors.h"

namespace isp_meta {
namespace {

// Calls run(i, room) for i < count, in parallel.
template <class T, class F>
void for_rooms(const LocalRBF& rbf, int64_t count, int right, const F& run) {
  torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    Room<T> room(rbf, right);
    for (int64_t i = begin; i < end; ++i) run(i, room);
  });
}

// Calls run.operator()<radial, dims>() with what the compiler should know; colors alone and colors
// with two further guides are the numbers of dimensions that are worth their own code.
template <class F>
void with_constants(const LocalRBF& rbf, const F& run) {
  const auto with_dims = [&]<Radial kRadial>() {
    if (rbf.dims() == 5) return run.template operator()<kRadial, 5>();
    if (rbf.dims() == 7) return run.template operator()<kRadial, 7>();
    return run.template operator()<kRadial, 0>();
  };
  if (rbf.radial == Radial::kRational) {
    with_dims.template operator()<Radial::kRational>();
  } else {
    with_dims.template operator()<Radial::kExponential>();
  }
}

LocalRBF describe(Grid grid, const Tensor& points, int64_t neighbors, int64_t channels,
                  double position_scale, double guide_scale, int64_t radial, double tail,
                  double ridge) {
  STD_TORCH_CHECK(points.dim() == 2 && points.size(1) >= 2, "points must be (N, 2 + C)");
  STD_TORCH_CHECK(neighbors >= 1 && neighbors <= kMostNeighbors, "neighbors must be 1 to ",
                  kMostNeighbors, ", not ", neighbors);
  STD_TORCH_CHECK(points.size(1) <= kMostDims, "too many guides");
  STD_TORCH_CHECK(channels >= 0 && channels <= kMostChannels, "too many values a sample");
  STD_TORCH_CHECK(position_scale > 0 && guide_scale > 0, "scales must be > 0");
  STD_TORCH_CHECK(tail >= 0 && ridge > 0, "tail must be >= 0, ridge > 0");
  STD_TORCH_CHECK(radial == 0 || radial == 1, "radial must be 0 or 1");
  return {grid,           int(points.size(1)) - 2, int(neighbors), int(channels),
          points.size(0), position_scale,          guide_scale,    tail,
          ridge,          Radial(radial)};
}

// On a GPU, where nobody waits for an answer, a wrong index stays inside memory instead.
void check_neighbors(const Tensor& neighbors, int64_t samples) {
  STD_TORCH_CHECK(samples > 0 || neighbors.numel() == 0, "neighbors of no samples");
  if (neighbors.is_cuda()) return;
  const int64_t* index = neighbors.const_data_ptr<int64_t>();
  STD_TORCH_CHECK(std::all_of(index, index + neighbors.numel(),
                              [&](int64_t n) { return n >= 0 && n < samples; }),
                  "neighbors must lie in [0, ", samples, ")");
}

Tensor local_rbf_op(const Tensor& guide_any, const Tensor& points_any, const Tensor& values_any,
                    const Tensor& neighbors_any, int64_t cell, double position_scale,
                    double guide_scale, int64_t radial, double tail, double ridge) {
  const Grid grid = grid_of(guide_any, cell);
  const int64_t batch = guide_any.size(0);
  STD_TORCH_CHECK(values_any.dim() == 2 && neighbors_any.dim() == 4, "shapes do not fit");
  const LocalRBF rbf = describe(grid, points_any, neighbors_any.size(3), values_any.size(1),
                                position_scale, guide_scale, radial, tail, ridge);
  check_shape(guide_any, {batch, rbf.guides, grid.height, grid.width});
  check_shape(values_any, {rbf.samples, rbf.channels});
  check_shape(neighbors_any, {batch, grid.rows(), grid.cols(), rbf.neighbors});
  const Tensor guide = torch::stable::contiguous(guide_any);
  const Tensor points = operand(points_any, guide, center_dtype(guide));
  const Tensor values = operand(values_any, guide, center_dtype(guide));
  const Tensor neighbors = operand(neighbors_any, guide, ScalarType::Long);
  check_neighbors(neighbors, rbf.samples);
  Tensor pixels = torch::stable::new_empty(values, {batch, rbf.channels, grid.height, grid.width});
  if (guide.is_cuda()) {
    ISP_META_ON_CUDA(guide, launch_local_rbf, guide.const_data_ptr(), points.const_data_ptr(),
                     values.const_data_ptr(), neighbors.const_data_ptr<int64_t>(),
                     pixels.mutable_data_ptr(), batch, rbf);
    return pixels;
  }
  with_cpu_dtype(guide, [&]<class T>(T) {
    const T* from = guide.const_data_ptr<T>();
    const T* at = points.const_data_ptr<T>();
    const T* known = values.const_data_ptr<T>();
    const int64_t* chosen = neighbors.const_data_ptr<int64_t>();
    T* to = pixels.mutable_data_ptr<T>();
    with_constants(rbf, [&]<Radial kRadial, int kDims>() {
      for_rooms<T>(rbf, batch * grid.rows(), rbf.channels, [&](int64_t row, Room<T>& room) {
        const int64_t b = row / grid.rows();
        interpolate_row<kRadial, kDims>(rbf, from + b * rbf.guides * grid.pixels(), at, known,
                                        chosen + b * grid.cells() * rbf.neighbors,
                                        to + b * rbf.channels * grid.pixels(),
                                        int(row % grid.rows()), room);
      });
    });
  });
  return pixels;
}

Tensor local_rbf_adjoint_op(const Tensor& grad_any, const Tensor& guide_any,
                            const Tensor& points_any, const Tensor& neighbors_any,
                            const Tensor& order_any, const Tensor& starts_any, int64_t cell,
                            double position_scale, double guide_scale, int64_t radial, double tail,
                            double ridge) {
  const Grid grid = grid_of(guide_any, cell);
  const int64_t batch = guide_any.size(0);
  STD_TORCH_CHECK(grad_any.dim() == 4 && neighbors_any.dim() == 4, "shapes do not fit");
  const LocalRBF rbf = describe(grid, points_any, neighbors_any.size(3), grad_any.size(1),
                                position_scale, guide_scale, radial, tail, ridge);
  check_shape(guide_any, {batch, rbf.guides, grid.height, grid.width});
  check_shape(grad_any, {batch, rbf.channels, grid.height, grid.width});
  check_shape(neighbors_any, {batch, grid.rows(), grid.cols(), rbf.neighbors});
  check_shape(order_any, {neighbors_any.numel()});
  check_shape(starts_any, {rbf.samples + 1});
  const Tensor guide = torch::stable::contiguous(guide_any);
  const Tensor grad = operand(grad_any, guide, center_dtype(guide));
  const Tensor points = operand(points_any, guide, center_dtype(guide));
  const Tensor neighbors = operand(neighbors_any, guide, ScalarType::Long);
  const Tensor order = operand(order_any, guide, ScalarType::Long);
  const Tensor starts = operand(starts_any, guide, ScalarType::Long);
  check_neighbors(neighbors, rbf.samples);
  Tensor parts = torch::stable::new_empty(points, {neighbors.numel(), rbf.channels});
  Tensor values = torch::stable::new_empty(points, {rbf.samples, rbf.channels});
  if (guide.is_cuda()) {
    ISP_META_ON_CUDA(guide, launch_local_rbf_adjoint, grad.const_data_ptr(), guide.const_data_ptr(),
                     points.const_data_ptr(), neighbors.const_data_ptr<int64_t>(),
                     order.const_data_ptr<int64_t>(), starts.const_data_ptr<int64_t>(),
                     parts.mutable_data_ptr(), values.mutable_data_ptr(), batch, rbf);
    return values;
  }
  with_cpu_dtype(guide, [&]<class T>(T) {
    const T *from = grad.const_data_ptr<T>(), *beside = guide.const_data_ptr<T>();
    const T* at = points.const_data_ptr<T>();
    const int64_t* chosen = neighbors.const_data_ptr<int64_t>();
    T* part = parts.mutable_data_ptr<T>();
    with_constants(rbf, [&]<Radial kRadial, int kDims>() {
      for_rooms<T>(rbf, batch * grid.rows(), rbf.channels, [&](int64_t row, Room<T>& room) {
        const int64_t b = row / grid.rows(), first = b * grid.cells() * rbf.neighbors;
        adjoint_row<kRadial, kDims>(rbf, from + b * rbf.channels * grid.pixels(),
                                    beside + b * rbf.guides * grid.pixels(), at, chosen + first,
                                    part + first * rbf.channels, int(row % grid.rows()), room);
      });
    });
    const int64_t *index = order.const_data_ptr<int64_t>(),
                  *start = starts.const_data_ptr<int64_t>();
    T* to = values.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, rbf.samples, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * rbf.channels; i < end * rbf.channels; ++i) {
        to[i] = gather(rbf, part, index, start, neighbors.numel(), i);
      }
    });
  });
  return values;
}

Tensor local_rbf_leave_one_out_op(const Tensor& points_any, const Tensor& values_any,
                                  const Tensor& neighbors_any, double position_scale,
                                  double guide_scale, int64_t radial, double tail, double ridge) {
  STD_TORCH_CHECK(values_any.dim() == 2 && neighbors_any.dim() == 2, "shapes do not fit");
  const LocalRBF rbf =
      describe({1, 1, 1}, points_any, neighbors_any.size(1) - 1, values_any.size(1), position_scale,
               guide_scale, radial, tail, ridge);
  check_shape(values_any, {rbf.samples, rbf.channels});
  const int64_t systems = neighbors_any.size(0);
  const Tensor points = operand(points_any, points_any, center_dtype(points_any));
  const Tensor values = operand(values_any, points, points.scalar_type());
  const Tensor neighbors = operand(neighbors_any, points, ScalarType::Long);
  check_neighbors(neighbors, rbf.samples);
  Tensor predictions = torch::stable::new_empty(points, {systems, rbf.channels});
  if (points.is_cuda()) {
    ISP_META_ON_CUDA(points, launch_local_rbf_leave_one_out, points.const_data_ptr(),
                     values.const_data_ptr(), neighbors.const_data_ptr<int64_t>(),
                     predictions.mutable_data_ptr(), systems, rbf);
    return predictions;
  }
  with_cpu_dtype(points, [&]<class T>(T) {
    const T *at = points.const_data_ptr<T>(), *known = values.const_data_ptr<T>();
    const int64_t* index = neighbors.const_data_ptr<int64_t>();
    T* to = predictions.mutable_data_ptr<T>();
    with_constants(rbf, [&]<Radial kRadial, int kDims>() {
      const int64_t groups = (systems + kLanes - 1) / kLanes;
      for_rooms<T>(rbf, groups, rbf.channels + 1, [&](int64_t group, Room<T>& room) {
        const int64_t* chosen[kLanes];
        for (int l = 0; l < kLanes; ++l) {
          const int64_t system = std::min(group * kLanes + l, systems - 1);
          chosen[l] = index + system * (rbf.neighbors + 1);
        }
        leave_out<kRadial>(rbf, at, known, chosen,
                           int(std::min<int64_t>(kLanes, systems - group * kLanes)),
                           to + group * kLanes * rbf.channels, room);
      });
    });
  });
  return predictions;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def(
      "local_rbf(Tensor guide, Tensor points, Tensor values, Tensor neighbors, int cell, float "
      "position_scale, float guide_scale, int radial, float tail, float ridge) -> Tensor");
  m.def(
      "local_rbf_adjoint(Tensor grad, Tensor guide, Tensor points, Tensor neighbors, Tensor order, "
      "Tensor starts, int cell, float position_scale, float guide_scale, int radial, float tail, "
      "float ridge) -> Tensor");
  m.def(
      "local_rbf_leave_one_out(Tensor points, Tensor values, Tensor neighbors, float "
      "position_scale, float guide_scale, int radial, float tail, float ridge) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CPU, m) {
  m.impl("local_rbf", TORCH_BOX(&local_rbf_op));
  m.impl("local_rbf_adjoint", TORCH_BOX(&local_rbf_adjoint_op));
  m.impl("local_rbf_leave_one_out", TORCH_BOX(&local_rbf_leave_one_out_op));
}

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CUDA, m) {
  m.impl("local_rbf", TORCH_BOX(&local_rbf_op));
  m.impl("local_rbf_adjoint", TORCH_BOX(&local_rbf_adjoint_op));
  m.impl("local_rbf_leave_one_out", TORCH_BOX(&local_rbf_leave_one_out_op));
}

}  // namespace isp_meta

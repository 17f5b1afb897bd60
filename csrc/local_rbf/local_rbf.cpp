#include "local_rbf/local_rbf.h"

#include "local_rbf/systems.h"
#include "tensors.h"

namespace isp_meta {
namespace {

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
  return {grid,           int(points.size(1)) - 2, int(neighbors),  int(channels),
          points.size(0), 1 / position_scale,      1 / guide_scale, tail,
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
    interpolate(rbf, guide.const_data_ptr<T>(), points.const_data_ptr<T>(),
                values.const_data_ptr<T>(), neighbors.const_data_ptr<int64_t>(),
                pixels.mutable_data_ptr<T>(), batch);
  });
  return pixels;
}

// What is not given is empty.
Tensor local_rbf_equations_op(const Tensor& guide_any, const Tensor& points_any,
                              const Tensor& values_any, const Tensor& neighbors_any,
                              const Tensor& guess_any, const Tensor& truth_any,
                              const Tensor& weight_any, int64_t cell, double position_scale,
                              double guide_scale, int64_t radial, double tail, double ridge) {
  const Grid grid = grid_of(guide_any, cell);
  const int64_t batch = guide_any.size(0);
  STD_TORCH_CHECK(values_any.dim() == 2 && neighbors_any.dim() == 4, "shapes do not fit");
  const int64_t colors = values_any.size(1);
  STD_TORCH_CHECK(colors >= 1 && colors <= kMostChannels, "too many values a sample");
  const LocalRBF rbf = describe(grid, points_any, neighbors_any.size(3), neighbors_any.size(3),
                                position_scale, guide_scale, radial, tail, ridge);
  check_shape(guide_any, {batch, rbf.guides, grid.height, grid.width});
  check_shape(values_any, {rbf.samples, colors});
  check_shape(neighbors_any, {batch, grid.rows(), grid.cols(), rbf.neighbors});
  check_shape(guess_any, {batch, colors, grid.height, grid.width});
  check_shape(truth_any, {batch, colors, grid.height, grid.width});
  const bool weighted = weight_any.numel() > 0;
  if (weighted) check_shape(weight_any, {batch, 1, grid.height, grid.width});
  const Tensor guide = torch::stable::contiguous(guide_any);
  const ScalarType dtype = center_dtype(guide);
  const Tensor points = operand(points_any, guide, dtype),
               values = operand(values_any, guide, dtype);
  const Tensor neighbors = operand(neighbors_any, guide, ScalarType::Long);
  const Tensor guess = operand(guess_any, guide, dtype), truth = operand(truth_any, guide, dtype);
  const Tensor weight = operand(weight_any, guide, dtype);
  check_neighbors(neighbors, rbf.samples);
  Tensor equations = torch::stable::new_empty(
      values, {batch, grid.rows(), grid.cols(), rbf.neighbors, rbf.neighbors + colors});
  if (guide.is_cuda()) {
    const MetTensors met{values.const_data_ptr(), guess.const_data_ptr(), truth.const_data_ptr(),
                         weighted ? weight.const_data_ptr() : nullptr, int(colors)};
    ISP_META_ON_CUDA(guide, launch_local_rbf_equations, guide.const_data_ptr(),
                     points.const_data_ptr(), met, neighbors.const_data_ptr<int64_t>(),
                     equations.mutable_data_ptr(), batch, rbf);
    return equations;
  }
  with_cpu_dtype(guide, [&]<class T>(T) {
    const Met<T> met{values.const_data_ptr<T>(), guess.const_data_ptr<T>(),
                     truth.const_data_ptr<T>(), weighted ? weight.const_data_ptr<T>() : nullptr,
                     int(colors)};
    normal_equations(rbf, guide.const_data_ptr<T>(), points.const_data_ptr<T>(), met,
                     neighbors.const_data_ptr<int64_t>(), equations.mutable_data_ptr<T>(), batch);
  });
  return equations;
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
    leave_one_out(rbf, points.const_data_ptr<T>(), values.const_data_ptr<T>(),
                  neighbors.const_data_ptr<int64_t>(), predictions.mutable_data_ptr<T>(), systems);
  });
  return predictions;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def(
      "local_rbf(Tensor guide, Tensor points, Tensor values, Tensor neighbors, int cell, float "
      "position_scale, float guide_scale, int radial, float tail, float ridge) -> Tensor");
  m.def(
      "local_rbf_leave_one_out(Tensor points, Tensor values, Tensor neighbors, float "
      "position_scale, float guide_scale, int radial, float tail, float ridge) -> Tensor");
  m.def(
      "local_rbf_equations(Tensor guide, Tensor points, Tensor values, Tensor neighbors, Tensor "
      "guess, Tensor truth, Tensor weight, int cell, float position_scale, float guide_scale, int "
      "radial, float tail, float ridge) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("local_rbf", TORCH_BOX(&local_rbf_op));
                         m.impl("local_rbf_equations", TORCH_BOX(&local_rbf_equations_op));
                         m.impl("local_rbf_leave_one_out", TORCH_BOX(&local_rbf_leave_one_out_op));)

}  // namespace isp_meta

#include "superpixel_loss/superpixel_loss.h"

#include <tuple>

#include "cpu/rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

// The pixels of a call, checked and contiguous.
struct Pixels {
  Tensor logits, srgb, raw;
  int64_t batch;
  Grid grid;

  Pixels(const Tensor& logits_any, const Tensor& srgb_any, const Tensor& raw_any, int64_t cell)
      : logits(torch::stable::contiguous(logits_any)),
        srgb(operand(srgb_any, logits, center_dtype(logits))),
        raw(operand(raw_any, logits, center_dtype(logits))),
        batch(logits.size(0)),
        grid(grid_of(logits, cell)) {
    check_shape(logits, {batch, kNeighbors, grid.height, grid.width});
    check_shape(srgb, {batch, kColors, grid.height, grid.width});
    check_shape(raw, {batch, kColors, grid.height, grid.width});
  }

  // An uninitialized (B, h, w, size).
  Tensor cells(int64_t size, ScalarType dtype) const {
    return torch::stable::new_empty(logits, {batch, grid.rows(), grid.cols(), size}, dtype);
  }

  SuperpixelLossTensors tensors(const Weights<double>& weights) const {
    return {
        logits.const_data_ptr(), srgb.const_data_ptr(), raw.const_data_ptr(), batch, grid, weights};
  }
};

template <class T>
void superpixel_loss(const SuperpixelLossTensors& tensors) {
  const SuperpixelLoss<T> of(tensors);
  for (const auto step : {ISP_META_FASTEST(summarize<T>), ISP_META_FASTEST(center<T>),
                          ISP_META_FASTEST(compare<T>), ISP_META_FASTEST(slope<T>)}) {
    for_row_ranges(tensors.batch, of.grid, 1,
                   [&](int64_t begin, int64_t end) { step(of, begin, end); });
  }
  double sum = 0;
  for (int64_t i = 0; i < tensors.batch * of.grid.rows(); ++i) sum += of.shares[i];
  *of.loss = T(sum);
}

std::tuple<Tensor, Tensor, Tensor> superpixel_loss_op(const Tensor& logits, const Tensor& srgb,
                                                      const Tensor& raw, int64_t cell,
                                                      double srgb_weight, double raw_weight,
                                                      double position_weight) {
  const Pixels pixels(logits, srgb, raw, cell);
  const Grid grid = pixels.grid;
  const ScalarType dtype = center_dtype(logits);
  Tensor centers = pixels.cells(kChannels, dtype), slopes = pixels.cells(kChannels, dtype);
  Tensor records = pixels.cells(kRecord, dtype);
  Tensor loss = torch::stable::new_empty(pixels.logits, {}, dtype);
  Tensor shares =
      torch::stable::new_empty(pixels.logits, {shares_of(pixels.batch, grid)}, ScalarType::Double);

  SuperpixelLossTensors of = pixels.tensors({srgb_weight, raw_weight, position_weight});
  of.centers = centers.mutable_data_ptr();
  of.slopes = slopes.mutable_data_ptr();
  of.records = records.mutable_data_ptr();
  of.shares = shares.mutable_data_ptr<double>();
  of.loss = loss.mutable_data_ptr();
  if (pixels.logits.is_cuda()) {
    ISP_META_ON_CUDA(pixels.logits, launch_superpixel_loss, of);
  } else {
    with_cpu_dtype(pixels.logits, [&]<class T>(T) { superpixel_loss<T>(of); });
  }
  return {loss, centers, slopes};
}

Tensor superpixel_loss_backward_op(const Tensor& grad_any, const Tensor& logits, const Tensor& srgb,
                                   const Tensor& raw, const Tensor& centers_any,
                                   const Tensor& slopes_any, int64_t cell, double srgb_weight,
                                   double raw_weight, double position_weight) {
  const Pixels pixels(logits, srgb, raw, cell);
  const Grid grid = pixels.grid;
  const ScalarType dtype = center_dtype(logits);
  check_shape(grad_any, {});
  check_shape(centers_any, {pixels.batch, grid.rows(), grid.cols(), kChannels});
  check_shape(slopes_any, {pixels.batch, grid.rows(), grid.cols(), kChannels});
  const Tensor grad = operand(grad_any, pixels.logits, dtype);
  const Tensor centers = operand(centers_any, pixels.logits, dtype);
  const Tensor slopes = operand(slopes_any, pixels.logits, dtype);
  Tensor grad_logits = torch::stable::new_empty(pixels.logits, pixels.logits.sizes());

  SuperpixelLossTensors of = pixels.tensors({srgb_weight, raw_weight, position_weight});
  of.grad = grad.const_data_ptr();
  of.centers = const_cast<void*>(centers.const_data_ptr());
  of.slopes = const_cast<void*>(slopes.const_data_ptr());
  of.grad_logits = grad_logits.mutable_data_ptr();
  if (pixels.logits.is_cuda()) {
    ISP_META_ON_CUDA(pixels.logits, launch_superpixel_loss_backward, of);
    return grad_logits;
  }
  with_cpu_dtype(pixels.logits, [&]<class T>(T) {
    const SuperpixelLoss<T> typed(of);
    for_row_ranges(pixels.batch, grid, 1, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(descend<T>)(typed, begin, end);
    });
  });
  return grad_logits;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def(
      "superpixel_loss(Tensor logits, Tensor srgb, Tensor raw, int cell, float srgb_weight, "
      "float raw_weight, float position_weight) "
      "-> (Tensor loss, Tensor centers, Tensor slopes)");
  m.def(
      "superpixel_loss_backward(Tensor grad, Tensor logits, Tensor srgb, Tensor raw, "
      "Tensor centers, Tensor slopes, int cell, float srgb_weight, float raw_weight, "
      "float position_weight) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("superpixel_loss", TORCH_BOX(&superpixel_loss_op));
                         m.impl("superpixel_loss_backward",
                                TORCH_BOX(&superpixel_loss_backward_op));)

}  // namespace isp_meta

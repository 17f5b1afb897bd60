#include "associate/associate.h"

#include "rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

template <class T>
ISP_META_VECTORIZED void associate_tile(const T* logits, T* association, int64_t plane,
                                        unsigned exists, int count) {
  associate<kTile>(logits, association, plane, exists, count);
}

template <class T>
ISP_META_VECTORIZED void associate_vjp_tile(const T* grad, const T* association, T* grad_logits,
                                            int64_t plane, int count) {
  associate_vjp<kTile>(grad, association, grad_logits, plane, count);
}

Tensor associate_op(const Tensor& logits_any, int64_t cell, bool mask_outside) {
  const Grid grid = grid_of(logits_any, cell);
  const int64_t batch = logits_any.size(0);
  check_shape(logits_any, {batch, kNeighbors, grid.height, grid.width});
  const Tensor logits = torch::stable::contiguous(logits_any);
  Tensor association = torch::stable::new_empty(logits, logits.sizes());
  if (logits.is_cuda()) {
    ISP_META_ON_CUDA(logits, launch_associate, logits.const_data_ptr(),
                     association.mutable_data_ptr(), batch, grid, mask_outside);
    return association;
  }
  with_cpu_dtype(logits, [&]<class T>(T) {
    const T* from = logits.const_data_ptr<T>();
    T* to = association.mutable_data_ptr<T>();
    for_cell_rows(batch, grid, [&](int64_t b, int by) {
      for_pixels(grid, by, [&](int64_t at, int count, unsigned exists) {
        at += b * kNeighbors * grid.pixels();
        associate_tile(from + at, to + at, grid.pixels(), mask_outside ? exists : kAllNeighbors,
                       count);
      });
    });
  });
  return association;
}

Tensor associate_backward_op(const Tensor& grad_any, const Tensor& association_any) {
  const Grid grid = grid_of(association_any, 1);
  const int64_t batch = association_any.size(0);
  check_shape(association_any, {batch, kNeighbors, grid.height, grid.width});
  check_shape(grad_any, {batch, kNeighbors, grid.height, grid.width});
  const Tensor association = torch::stable::contiguous(association_any);
  const Tensor grad = operand(grad_any, association, association.scalar_type());
  Tensor grad_logits = torch::stable::new_empty(association, association.sizes());
  if (association.is_cuda()) {
    ISP_META_ON_CUDA(association, launch_associate_backward, grad.const_data_ptr(),
                     association.const_data_ptr(), grad_logits.mutable_data_ptr(), batch,
                     grid.pixels());
    return grad_logits;
  }
  with_cpu_dtype(association, [&]<class T>(T) {
    const T* from_grad = grad.const_data_ptr<T>();
    const T* from = association.const_data_ptr<T>();
    T* to = grad_logits.mutable_data_ptr<T>();
    for_cell_rows(batch, grid, [&](int64_t b, int by) {
      for_pixels(grid, by, [&](int64_t at, int count, unsigned) {
        at += b * kNeighbors * grid.pixels();
        associate_vjp_tile(from_grad + at, from + at, to + at, grid.pixels(), count);
      });
    });
  });
  return grad_logits;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def("associate(Tensor logits, int cell, bool mask_outside) -> Tensor");
  m.def("associate_backward(Tensor grad, Tensor association) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CPU, m) {
  m.impl("associate", TORCH_BOX(&associate_op));
  m.impl("associate_backward", TORCH_BOX(&associate_backward_op));
}

STABLE_TORCH_LIBRARY_IMPL(isp_meta, CUDA, m) {
  m.impl("associate", TORCH_BOX(&associate_op));
  m.impl("associate_backward", TORCH_BOX(&associate_backward_op));
}

}  // namespace isp_meta

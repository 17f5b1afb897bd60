#include "associate/associate.h"

#include "cpu/rows.h"
#include "tensors.h"

namespace isp_meta {
namespace {

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
    for_row_ranges(batch, grid, 1, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(associate<T>)(from, to, batch, grid, mask_outside, begin, end);
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
    for_row_ranges(batch, grid, 1, [&](int64_t begin, int64_t end) {
      ISP_META_FASTEST(associate_backward<T>)(from_grad, from, to, batch, grid, begin, end);
    });
  });
  return grad_logits;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def("associate(Tensor logits, int cell, bool mask_outside) -> Tensor");
  m.def("associate_backward(Tensor grad, Tensor association) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("associate", TORCH_BOX(&associate_op));
                         m.impl("associate_backward", TORCH_BOX(&associate_backward_op));)

}  // namespace isp_meta

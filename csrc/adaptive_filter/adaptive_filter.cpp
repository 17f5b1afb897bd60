#include "adaptive_filter/adaptive_filter.h"

#include <tuple>

#include "tensors.h"

namespace isp_meta {
namespace {

// Rows that a thread works out at a time; it reads kReach more on both sides.
constexpr int kStrip = 64;

// The tensors of one call, checked, and kept while their pointers are in use.
struct Operands {
  Tensor srgb, raw, weights;
  AdaptiveFilterTensors of;

  Operands(const Tensor& raw_any, const Tensor& srgb_any, const Tensor& weights_any, double bright,
           double active)
      : srgb(torch::stable::contiguous(srgb_any)),
        raw(operand(raw_any, srgb, center_dtype(srgb))),
        weights(operand(weights_any, srgb, center_dtype(srgb))),
        of{} {
    STD_TORCH_CHECK(srgb.dim() == 3 && srgb.size(0) == kColors, "srgb must be (3, H, W)");
    const int64_t height = srgb.size(1), width = srgb.size(2);
    STD_TORCH_CHECK(height >= 1 && width >= 1 && std::max(height, width) <= kLargestSide,
                    "the picture is empty, or too large");
    check_shape(raw, {kColors, height, width});
    of = {srgb.const_data_ptr(),
          raw.const_data_ptr(),
          weights.const_data_ptr(),
          bright,
          active,
          int(height),
          int(width)};
  }
};

template <class F>
void for_strips(const AdaptiveFilterTensors& of, const F& run) {
  torch::stable::parallel_for(0, (of.height - 1) / kStrip + 1, 1, [&](int64_t first, int64_t last) {
    const int begin = int(first) * kStrip;
    run(begin, int(std::min<int64_t>(last * kStrip, of.height)));
  });
}

Tensor adaptive_filter_op(const Tensor& raw, const Tensor& srgb, const Tensor& weights,
                          double bright, double active) {
  const Operands on(raw, srgb, weights, bright, active);
  check_shape(weights, {kPhases, kKinds, kColors, kFilterFeatures});
  Tensor result = torch::stable::new_empty(on.raw, {kColors, on.of.height, on.of.width});
  if (result.is_cuda()) {
    ISP_META_ON_CUDA(on.srgb, launch_adaptive_filter, on.of, result.mutable_data_ptr());
    return result;
  }
  with_cpu_dtype(on.srgb, [&]<class T>(T) {
    const AdaptiveFilter<T> of = typed<T, T>(on.of);
    for_strips(on.of, [&](int begin, int end) {
      ISP_META_FASTEST(adaptive_filter<T>)(of, result.mutable_data_ptr<T>(), begin, end);
    });
  });
  return result;
}

std::tuple<Tensor, Tensor> filter_features_op(const Tensor& raw, const Tensor& srgb,
                                              const Tensor& index_any, double bright,
                                              double active) {
  const Operands on(raw, srgb, torch::stable::new_empty(raw, {0}), bright, active);
  STD_TORCH_CHECK(index_any.dim() == 1, "index must have one dimension");
  const Tensor index = operand(index_any, on.srgb, ScalarType::Long);
  const int64_t count = index.numel();
  const int64_t* const at = index.const_data_ptr<int64_t>();
  Tensor features = torch::stable::new_empty(on.raw, {count, kFilterFeatures});
  Tensor kinds = torch::stable::new_empty(index, {count});
  int64_t* const to = kinds.mutable_data_ptr<int64_t>();
  if (features.is_cuda()) {
    ISP_META_ON_CUDA(on.srgb, launch_filter_features, on.of, at, count, features.mutable_data_ptr(),
                     to);
    return {features, kinds};
  }
  const int64_t pixels = int64_t(on.of.height) * on.of.width;
  STD_TORCH_CHECK(std::is_sorted(at, at + count), "index must increase");
  STD_TORCH_CHECK(count == 0 || (at[0] >= 0 && at[count - 1] < pixels),
                  "index must lie in the picture");
  with_cpu_dtype(on.srgb, [&]<class T>(T) {
    const AdaptiveFilter<T> of = typed<T, T>(on.of);
    for_strips(on.of, [&](int begin, int end) {
      ISP_META_FASTEST(filter_features<T>)(of, at, count, features.mutable_data_ptr<T>(), to, begin,
                                           end);
    });
  });
  return {features, kinds};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def(
      "adaptive_filter(Tensor raw, Tensor srgb, Tensor weights, float bright, float active) -> "
      "Tensor");
  m.def(
      "filter_features(Tensor raw, Tensor srgb, Tensor index, float bright, float active) -> "
      "(Tensor, Tensor)");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("adaptive_filter", TORCH_BOX(&adaptive_filter_op));
                         m.impl("filter_features", TORCH_BOX(&filter_features_op));)

}  // namespace isp_meta

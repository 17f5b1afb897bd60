#include "first_guess/first_guess.h"

#include <memory>

#include "tensors.h"

namespace isp_meta {
namespace {

// Rows that a thread works out at a time; the pyramid takes kHalo more on both sides.
constexpr int kStrip = 64;

// The tensors of one call, checked, and kept while their pointers are in use.
struct Operands {
  Tensor srgb, contrast, told, network, cubic, table, weights;
  FirstGuessTensors of;

  Operands(const Tensor& srgb_any, const Tensor& contrast_any, const Tensor& told_any,
           const Tensor& network_any, const Tensor& cubic_any, const Tensor& table_any,
           const Tensor& weights_any, int64_t top, int64_t bottom)
      : srgb(torch::stable::contiguous(srgb_any)),
        contrast(operand(contrast_any, srgb, center_dtype(srgb))),
        told(operand(told_any, srgb, ScalarType::BFloat16)),
        network(operand(network_any, srgb, center_dtype(srgb))),
        cubic(operand(cubic_any, srgb, center_dtype(srgb))),
        table(operand(table_any, srgb, center_dtype(srgb))),
        weights(operand(weights_any, srgb, center_dtype(srgb))),
        of{} {
    STD_TORCH_CHECK(srgb.dim() == 3 && srgb.size(0) == kColors, "srgb must be (3, H, W)");
    of.height = side(srgb.size(1)), of.width = side(srgb.size(2));
    STD_TORCH_CHECK(0 <= top && top < bottom && bottom <= of.height, "no rows of the picture");
    of.top = int(top), of.bottom = int(bottom);
    STD_TORCH_CHECK(weights.dim() == 2 && cubic.dim() == 2, "shapes do not fit each other");
    of.features = int(std::min<int64_t>(weights.size(1), kClips + kContrasts + kHidden + 1));
    STD_TORCH_CHECK(of.features == kClips || of.features == kClips + kContrasts ||
                        of.features == kClips + kContrasts + kHidden,
                    "no weights of so many features");
    if (of.has_contrast()) of.quarter = smaller(contrast, kContrast, kQuarter);
    if (of.has_hidden()) {
      of.half = smaller(told, kHidden, kHalf);
      check_shape(network, {kNetwork});
    }
    of.srgb = srgb.const_data_ptr();
    of.contrast = contrast.const_data_ptr();
    of.told = static_cast<const uint16_t*>(told.const_data_ptr());
    of.network = network.const_data_ptr();
  }

  // For the guess itself.
  void check_formula() {
    STD_TORCH_CHECK(table.dim() == 4 && table.size(1) >= 2 && table.size(1) <= 256,
                    "the table must have 2 to 256 knots");
    of.knots = int(table.size(1));
    check_shape(table, {kColors, of.knots, of.knots, of.knots});
    check_shape(weights, {kColors, of.features});
    check_shape(cubic, {kColors, kMonomials});
    of.cubic = cubic.const_data_ptr();
    of.table = table.const_data_ptr();
    of.weights = weights.const_data_ptr();
  }

  // Room for the pyramid on a GPU.
  Tensor levels() const {
    const int64_t rows = of.bottom - of.top + 2 * kHalo, cols = int64_t(of.width) + 2 * kHalo;
    return torch::stable::new_empty(contrast, {kFine + 1, kColors, rows, cols});
  }

 private:
  static int side(int64_t size) {
    STD_TORCH_CHECK(size >= 1, "the picture is empty");
    STD_TORCH_CHECK(size <= kLargestSide, "the picture is too large");
    return int(size);
  }

  // Of planes that cover the picture, smaller by a factor.
  Size smaller(const Tensor& planes, int count, int factor) const {
    STD_TORCH_CHECK(planes.dim() == 3 && planes.size(0) == count, "shapes do not fit each other");
    const Size size{side(planes.size(1)), side(planes.size(2))};
    STD_TORCH_CHECK(size.rows >= (of.height - 1) / factor + 1, "planes do not cover the picture");
    STD_TORCH_CHECK(size.cols >= (of.width - 1) / factor + 1, "planes do not cover the picture");
    return size;
  }
};

template <class F>
void for_strips(const FirstGuessTensors& of, const F& run) {
  const int strips = (of.bottom - of.top - 1) / kStrip + 1;
  torch::stable::parallel_for(0, strips, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int begin = of.top + int(i) * kStrip;
      run(begin, std::min(begin + kStrip, of.bottom));
    }
  });
}

// The gains of each knot side by side, and one number more.
template <class T>
std::unique_ptr<T[]> side_by_side(const T* table, int knots) {
  const int64_t count = int64_t(knots) * knots * knots;
  std::unique_ptr<T[]> packed(new T[4 * count]());
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < kColors; ++c) packed[4 * i + c] = table[c * count + i];
  }
  return packed;
}

Tensor first_guess_op(const Tensor& srgb, const Tensor& contrast, const Tensor& told,
                      const Tensor& network, const Tensor& cubic, const Tensor& table,
                      const Tensor& weights, int64_t top, int64_t bottom) {
  Operands on(srgb, contrast, told, network, cubic, table, weights, top, bottom);
  on.check_formula();
  Tensor guess = torch::stable::new_empty(on.cubic, {kColors, bottom - top, on.of.width});
  if (guess.is_cuda()) {
    const Tensor levels = on.levels();
    ISP_META_ON_CUDA(on.srgb, launch_first_guess, on.of, levels.mutable_data_ptr(),
                     guess.mutable_data_ptr());
    return guess;
  }
  with_cpu_dtype(on.srgb, [&]<class T>(T) {
    FirstGuess<T> of = typed<T, T>(on.of);
    const std::unique_ptr<T[]> packed = side_by_side(of.table, of.knots);
    of.table = packed.get();
    for_strips(on.of, [&](int begin, int end) {
      ISP_META_FASTEST(first_guess<T>)(of, guess.mutable_data_ptr<T>(), begin, end);
    });
  });
  return guess;
}

Tensor guess_features_op(const Tensor& srgb, const Tensor& contrast, const Tensor& told,
                         const Tensor& network, const Tensor& index_any, int64_t top,
                         int64_t bottom) {
  const bool hidden = network.numel() > 0;
  const int64_t size = kContrasts + (hidden ? kHidden : 0);
  const Tensor none = torch::stable::new_empty(contrast, {0, kClips + size});
  Operands on(srgb, contrast, told, network, none, none, none, top, bottom);
  STD_TORCH_CHECK(index_any.dim() == 1, "index must have one dimension");
  const Tensor index = operand(index_any, on.srgb, ScalarType::Long);
  const int64_t count = index.numel();
  const int64_t* const at = index.const_data_ptr<int64_t>();
  Tensor features = torch::stable::new_empty(on.contrast, {count, size});
  if (features.is_cuda()) {
    const Tensor levels = on.levels();
    ISP_META_ON_CUDA(on.srgb, launch_guess_features, on.of, levels.mutable_data_ptr(), at, count,
                     features.mutable_data_ptr());
    return features;
  }
  STD_TORCH_CHECK(std::is_sorted(at, at + count), "index must increase");
  STD_TORCH_CHECK(
      count == 0 || (at[0] >= top * on.of.width && at[count - 1] < bottom * on.of.width),
      "index must lie in rows [", top, ", ", bottom, ")");
  with_cpu_dtype(on.srgb, [&]<class T>(T) {
    const FirstGuess<T> of = typed<T, T>(on.of);
    for_strips(on.of, [&](int begin, int end) {
      ISP_META_FASTEST(guess_features<T>)(of, at, count, features.mutable_data_ptr<T>(), begin,
                                          end);
    });
  });
  return features;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def(
      "first_guess(Tensor srgb, Tensor contrast, Tensor told, Tensor network, Tensor cubic, "
      "Tensor table, Tensor weights, int top, int bottom) -> Tensor");
  m.def(
      "guess_features(Tensor srgb, Tensor contrast, Tensor told, Tensor network, Tensor index, "
      "int top, int bottom) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("first_guess", TORCH_BOX(&first_guess_op));
                         m.impl("guess_features", TORCH_BOX(&guess_features_op));)

}  // namespace isp_meta

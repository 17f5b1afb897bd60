#include "adaptive_filter/adaptive_filter.h"
#include "launch.h"

namespace isp_meta {
namespace {

template <class T, class A>
struct FilterPixel {
  const AdaptiveFilter<T, A>& of;
  int y, x;

  __device__ A seen(int p, int dy, int dx) const {
    const int64_t at = int64_t(clamped(y + dy, of.height)) * of.width + clamped(x + dx, of.width);
    if (p < kColors) return log_of_raw(of.raw[p * of.pixels() + at]);
    const auto color = [&](int c) { return A(of.srgb[c * of.pixels() + at]); };
    if (p == kSumPlane) return sum_of(color(0), color(1), color(2));
    if (p == kLargestPlane) return largest_of(color(0), color(1), color(2));
    return color(p - kColors);
  }
};

// A thread a pixel.
template <class T, class A>
__global__ void adaptive_filter_kernel(AdaptiveFilter<T, A> of, A* result) {
  const int y = int(row_of_groups()), x = int(thread_index());
  if (y >= of.height || x >= of.width) return;
  const FilterPixel<T, A> at{of, y, x};
  const int kind = int(kind_of<A>(at, of.bright, of.active)), phase = y % 2 * 2 + x % 2;
  const A* const weights =
      of.weights + (phase * kKinds + kind) * int64_t(kColors) * kFilterFeatures;
  A gains[kColors] = {};
  for_filter_features<A>(at, [&](int f, A value) {
    ISP_META_UNROLL
    for (int c = 0; c < kColors; ++c) gains[c] += value * weights[c * kFilterFeatures + f];
  });
  for (int c = 0; c < kColors; ++c) {
    const int64_t here = c * of.pixels() + int64_t(y) * of.width + x;
    result[here] = filtered(of.raw[here], gains[c]);
  }
}

// No thread waits for an answer, so a wrong index is moved to where memory is.
template <class T, class A>
__global__ void filter_features_kernel(AdaptiveFilter<T, A> of, const int64_t* index, int64_t count,
                                       A* features, int64_t* kinds) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t pixel = max(int64_t(0), min(index[i], of.pixels() - 1));
  const FilterPixel<T, A> at{of, int(pixel / of.width), int(pixel % of.width)};
  A* const to = features + i * kFilterFeatures;
  for_filter_features<A>(at, [&](int f, A value) { to[f] = value; });
  kinds[i] = int64_t(kind_of<A>(at, of.bright, of.active));
}

}  // namespace

const char* launch_adaptive_filter(const Launch& on, const AdaptiveFilterTensors& of,
                                   void* result) {
  return launch_threads(on, of.width, of.height, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    const auto kernel = adaptive_filter_kernel<T, A>;
    const AdaptiveFilter<T, A> here = typed<T, A>(of);
    ISP_META_LAUNCH(kernel, blocks, kThreads, 0, stream, here, static_cast<A*>(result));
  });
}

const char* launch_filter_features(const Launch& on, const AdaptiveFilterTensors& of,
                                   const int64_t* index, int64_t count, void* features,
                                   int64_t* kinds) {
  return launch_threads(on, count, 1, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    const auto kernel = filter_features_kernel<T, A>;
    const AdaptiveFilter<T, A> here = typed<T, A>(of);
    ISP_META_LAUNCH(kernel, blocks, kThreads, 0, stream, here, index, count,
                    static_cast<A*>(features), kinds);
  });
}

}  // namespace isp_meta

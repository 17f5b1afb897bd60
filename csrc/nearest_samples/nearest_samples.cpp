#include "nearest_samples/nearest_samples.h"

#include "tensors.h"

namespace isp_meta {
namespace {

// Queries that a thread takes at least.
constexpr int64_t kGrain = 256;

// On a GPU, where nobody waits for an answer, wrong buckets are the caller's.
void check_buckets(const Tensor& start, const Tensor& number, int64_t samples) {
  if (start.is_cuda()) return;
  const int64_t* at = start.const_data_ptr<int64_t>();
  const int64_t end = start.numel() - 1;
  STD_TORCH_CHECK(at[0] == 0 && at[end] == samples && std::is_sorted(at, at + end + 1),
                  "buckets must divide the samples");
  const int64_t* numbers = number.const_data_ptr<int64_t>();
  STD_TORCH_CHECK(
      std::all_of(numbers, numbers + samples, [&](int64_t n) { return n >= 0 && n < samples; }),
      "numbers must lie in [0, ", samples, ")");
}

Tensor nearest_samples_op(const Tensor& place_any, const Tensor& number_any,
                          const Tensor& start_any, const Tensor& position_any, int64_t cols,
                          int64_t side, int64_t count) {
  STD_TORCH_CHECK(position_any.dim() == 2 && position_any.size(1) == 2, "position must be (M, 2)");
  STD_TORCH_CHECK(place_any.dim() == 2, "place must be (N, 2)");
  const int64_t samples = place_any.size(0), queries = position_any.size(0);
  check_shape(place_any, {samples, 2});
  check_shape(number_any, {samples});
  STD_TORCH_CHECK(count >= 1 && count <= kMostNearest && count <= samples, "count must be 1 to ",
                  std::min<int64_t>(kMostNearest, samples), ", not ", count);
  STD_TORCH_CHECK(side > 0 && cols >= 1, "side and cols must be > 0");
  STD_TORCH_CHECK(
      start_any.dim() == 1 && start_any.numel() > cols && (start_any.numel() - 1) % cols == 0,
      "buckets must make whole rows");
  const Tensor position = torch::stable::contiguous(position_any);
  const Tensor place = operand(place_any, position, ScalarType::Long);
  const Tensor number = operand(number_any, position, ScalarType::Long);
  const Tensor start = operand(start_any, position, ScalarType::Long);
  check_buckets(start, number, samples);
  const Buckets in{place.const_data_ptr<int64_t>(),
                   number.const_data_ptr<int64_t>(),
                   start.const_data_ptr<int64_t>(),
                   samples,
                   (start.numel() - 1) / cols,
                   cols,
                   double(side)};
  Tensor found = torch::stable::new_empty(number, {queries, count});
  int64_t* const to = found.mutable_data_ptr<int64_t>();
  if (position.is_cuda()) {
    Tensor room = torch::stable::new_empty(position, {queries, count}, ScalarType::Double);
    ISP_META_ON_CUDA(position, launch_nearest_samples, in, position.const_data_ptr(), queries,
                     room.mutable_data_ptr<double>(), to, int(count));
    return found;
  }
  with_cpu_dtype(position, [&]<class T>(T) {
    const T* const at = position.const_data_ptr<T>();
    torch::stable::parallel_for(0, queries, kGrain, [&](int64_t begin, int64_t end) {
      double squared[kMostNearest];
      for (int64_t i = begin; i < end; ++i) {
        Nearest nearest{squared, to + i * count, int(count), 0};
        find_nearest(in, double(at[2 * i]), double(at[2 * i + 1]), nearest);
      }
    });
  });
  return found;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(isp_meta, m) {
  m.def(
      "nearest_samples(Tensor place, Tensor number, Tensor start, Tensor position, int cols, int "
      "side, int count) -> Tensor");
}

ISP_META_ON_BOTH_DEVICES(m, m.impl("nearest_samples", TORCH_BOX(&nearest_samples_op));)

}  // namespace isp_meta

#include "launch.h"
#include "nearest_samples/nearest_samples.h"

namespace isp_meta {
namespace {

template <class T, class A = AccumulateType<T>>
__global__ void nearest_kernel(Buckets in, const T* __restrict__ position, int64_t queries,
                               double* squared, int64_t* found, int count) {
  const int64_t i = thread_index();
  if (i >= queries) return;
  Nearest nearest{squared + i * count, found + i * count, count, 0};
  find_nearest(in, double(A(position[2 * i])), double(A(position[2 * i + 1])), nearest);
}

}  // namespace

const char* launch_nearest_samples(const Launch& on, const Buckets& in, const void* position,
                                   int64_t queries, double* squared, int64_t* found, int count) {
  return launch_threads(on, queries, 1, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    const auto kernel = nearest_kernel<T>;
    ISP_META_LAUNCH(kernel, blocks, kThreads, 0, stream, in, static_cast<const T*>(position),
                    queries, squared, found, count);
  });
}

}  // namespace isp_meta

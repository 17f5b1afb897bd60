// Element types, and where a CUDA kernel is to run: all that glue and kernels tell each other.
#pragma once

namespace isp_meta {

enum class Dtype : int { kFloat32, kFloat64, kFloat16, kBFloat16 };

// Sums, and the centers they make, are kept in float where T is narrower.
template <class T>
struct Accumulate {
  using type = T;
};
template <class T>
using AccumulateType = typename Accumulate<T>::type;

struct Launch {
  Dtype dtype;
  int device;
  void* stream;
};

}  // namespace isp_meta

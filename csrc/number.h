// A formula is written for A: a number on a GPU, where a pixel is a thread, and a vector of numbers
// on the CPU, where neighboring pixels are its lanes. Here is what it needs beside arithmetic.
#pragma once

#include <type_traits>

#include "host_device.h"

namespace isp_meta {

constexpr int kColors = 3;

// The number that A is, or holds in each lane.
template <class A>
struct ElementOf {
  using type = A;
};
template <class A>
  requires requires(A a) { a[0]; }
struct ElementOf<A> {
  using type = std::remove_cvref_t<decltype(A{}[0])>;
};
template <class A>
using Element = typename ElementOf<A>::type;

}  // namespace isp_meta

#ifdef __CUDACC__

namespace isp_meta {

template <class A>
__device__ __forceinline__ A square_root(A x) {
  return sqrt(x);
}

// exp(x) for x <= 0.
template <class A>
__device__ __forceinline__ A exp_nonpositive(A x) {
  return exp(x);
}

// log(x) for normal x > 0.
template <class A>
__device__ __forceinline__ A log_positive(A x) {
  return log(x);
}

template <class A>
__device__ __forceinline__ A error_function(A x) {
  return erf(x);
}

// Toward 0, for x that an int holds.
template <class A>
__device__ __forceinline__ A truncated(A x) {
  return trunc(x);
}

}  // namespace isp_meta

#else
#include "cpu/exp.h"
#endif

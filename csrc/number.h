// A formula is written for A: a number on a GPU, where a pixel is a thread, and a vector of numbers
// on the CPU, where neighboring pixels are its lanes.
#pragma once

#include <cstdint>
#include <type_traits>

namespace isp_meta {

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

// Unsigned integers of A's size, lane by lane.
template <class A>
struct BitsOf {
  using type = std::conditional_t<sizeof(A) == 4, uint32_t, uint64_t>;
};
template <class A>
  requires requires(A a) { a[0]; }
struct BitsOf<A> {
  typedef typename BitsOf<Element<A>>::type type __attribute__((vector_size(sizeof(A))));
};
template <class A>
using Bits = typename BitsOf<A>::type;

}  // namespace isp_meta

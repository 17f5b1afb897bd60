// As many numbers as an instruction takes at once. Arithmetic, comparison and ?: are the
// compiler's own; here is what it does not spell: memory, and sums across lanes.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"
#include "host_device.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

// Functions that take or give a vector are never called from another file, so that how it is passed
// matters to none.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace isp_meta::ISP_META_ISA {

template <class T, int kBytes = kVectorBytes>
constexpr int kLanes = kBytes / int(sizeof(T));

template <class T, int kBytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes)));
  typedef T Unaligned __attribute__((vector_size(kBytes), aligned(sizeof(T))));
};
// One that is longer than an instruction takes is taken in parts.
template <class T, int kBytes = kVectorBytes>
using Vector = typename VectorOf<T, kBytes>::type;

// Written once and not read soon: an output this large passes the caches by.
constexpr int64_t kStreamedBytes = int64_t(4) << 20;

template <int kBytes = kVectorBytes, class T>
ISP_META_HD Vector<T, kBytes> load(const T* from) {
  return *reinterpret_cast<const typename VectorOf<T, kBytes>::Unaligned*>(from);
}

template <int kBytes = kVectorBytes, class T>
ISP_META_HD void store(T* to, const Vector<T, kBytes>& value) {
  *reinterpret_cast<typename VectorOf<T, kBytes>::Unaligned*>(to) = value;
}

// The first `count` lanes; the others are 0.
template <class T>
ISP_META_HD Vector<T> load(const T* from, int count) {
  if (count >= kLanes<T>) return load(from);
  Vector<T> value = {};
  for (int i = 0; i < count; ++i) value[i] = from[i];
  return value;
}

template <class T>
ISP_META_HD void store(T* to, Vector<T> value, int count) {
  if (count >= kLanes<T>) return store(to, value);
  for (int i = 0; i < count; ++i) to[i] = value[i];
}

// Whether an output, in planes of so many numbers, is worth streaming and lies right for it.
template <class T>
ISP_META_HD bool streams(int64_t numbers, int64_t plane) {
  return numbers * int64_t(sizeof(T)) > kStreamedBytes && plane % kLanes<T> == 0;
}

template <class T>
ISP_META_HD bool aligned(const T* at) {
  return reinterpret_cast<uintptr_t>(at) % kVectorBytes == 0;
}

// Past the caches where that is wished; the place must be aligned.
template <class T>
ISP_META_HD void stream(T* to, Vector<T> value, bool wished) {
#ifdef __SSE2__
  if (wished) {
    if constexpr (sizeof(value) == 32) {
      return _mm256_stream_si256(reinterpret_cast<__m256i*>(to), (__m256i)value);
    } else {
      return _mm_stream_si128(reinterpret_cast<__m128i*>(to), (__m128i)value);
    }
  }
#endif
  store(to, value);
}

// Streamed stores are seen by other threads after this.
ISP_META_HD void finish_streams() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

// Asks for `count` numbers that are needed soon. Any address may be named.
template <class T>
ISP_META_HD void prefetch(const T* from, int64_t ahead, int count) {
  constexpr int line = 64 / sizeof(T);
  const uintptr_t at = reinterpret_cast<uintptr_t>(from) + uintptr_t(ahead) * sizeof(T);
  const auto* bytes = reinterpret_cast<const char*>(at);
#pragma GCC unroll 4
  for (int i = 0; i < count; i += line) __builtin_prefetch(bytes + i * sizeof(T), 0, 2);
}

struct Sum {
  template <class V>
  ISP_META_HD V operator()(V a, V b) const {
    return a + b;
  }
};
struct Largest {
  template <class V>
  ISP_META_HD V operator()(V a, V b) const {
    return a > b ? a : b;
  }
};

// Lane i becomes v[i] folded over its lanes, i < kLanes; v is spent. Pairs first, so that each step
// halves the vectors: seven folds for eight vectors.
template <class T, class Fold>
ISP_META_HD Vector<T> fold_lanes(Vector<T>* v, Fold fold) {
  constexpr int lanes = kLanes<T>;
  if constexpr (lanes == 8) {
    for (int i = 0; i < 8; i += 2) {
      v[i] = fold(__builtin_shufflevector(v[i], v[i + 1], 0, 8, 1, 9, 4, 12, 5, 13),
                  __builtin_shufflevector(v[i], v[i + 1], 2, 10, 3, 11, 6, 14, 7, 15));
    }
    for (int i = 0; i < 8; i += 4) {
      v[i] = fold(__builtin_shufflevector(v[i], v[i + 2], 0, 1, 8, 9, 4, 5, 12, 13),
                  __builtin_shufflevector(v[i], v[i + 2], 2, 3, 10, 11, 6, 7, 14, 15));
    }
    return fold(__builtin_shufflevector(v[0], v[4], 0, 1, 2, 3, 8, 9, 10, 11),
                __builtin_shufflevector(v[0], v[4], 4, 5, 6, 7, 12, 13, 14, 15));
  } else if constexpr (lanes == 4) {
    for (int i = 0; i < 4; i += 2) {
      v[i] = fold(__builtin_shufflevector(v[i], v[i + 1], 0, 4, 2, 6),
                  __builtin_shufflevector(v[i], v[i + 1], 1, 5, 3, 7));
    }
    return fold(__builtin_shufflevector(v[0], v[2], 0, 1, 4, 5),
                __builtin_shufflevector(v[0], v[2], 2, 3, 6, 7));
  } else {
    static_assert(lanes == 2);
    return fold(__builtin_shufflevector(v[0], v[1], 0, 2),
                __builtin_shufflevector(v[0], v[1], 1, 3));
  }
}

}  // namespace isp_meta::ISP_META_ISA

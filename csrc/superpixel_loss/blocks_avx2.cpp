// The loops for AVX2 and FMA. Headers of the library come first: what they define is for every
// processor.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
#pragma GCC target("arch=x86-64-v3")
#define ISP_META_ISA avx2
#define ISP_META_VECTOR_BYTES 32
#include "superpixel_loss/blocks.h"
#endif

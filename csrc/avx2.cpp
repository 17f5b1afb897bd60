// The CPU's loops for AVX2 and FMA. Headers of the library come first: what they define must not be
// compiled for more than every processor has.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <type_traits>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
#pragma GCC target("arch=x86-64-v3")
#define ISP_META_ISA avx2
#define ISP_META_VECTOR_BYTES 32
#include "aggregate/loops.h"
#include "argmax_pool/loops.h"
#include "associate/loops.h"
#include "associate_features/loops.h"
#endif

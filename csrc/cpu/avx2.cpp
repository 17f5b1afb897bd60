// The CPU's loops for AVX2 and FMA. Headers of the library come first: what they define must not be
// compiled for more than every processor has.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "cpu/dispatch.h"

#ifdef ISP_META_AVX2
#pragma GCC target("arch=x86-64-v3")
#define ISP_META_ISA avx2
#include "cpu/loops.h"
#endif

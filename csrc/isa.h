// The CPU's loops are compiled once for every instruction set, from one source: ISP_META_ISA names
// the namespace that a file is compiled into. What the processor has is asked at run time.
#pragma once

#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
#define ISP_META_AVX2
#define ISP_META_FASTEST(loop) \
  (__builtin_cpu_supports("x86-64-v3") ? isp_meta::avx2::loop : isp_meta::baseline::loop)
#else
#define ISP_META_FASTEST(loop) (isp_meta::baseline::loop)
#endif

// Declares a loop for every instruction set.
#define ISP_META_EACH_ISA(...) \
  namespace isp_meta {         \
  namespace baseline {         \
  __VA_ARGS__                  \
  }                            \
  namespace avx2 {             \
  __VA_ARGS__                  \
  }                            \
  }

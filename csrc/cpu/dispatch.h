// The one choice of instruction set. A loop of the CPU is declared by ISP_META_EACH_ISA, compiled
// by avx2.cpp and baseline.cpp from one source, into the namespace that ISP_META_ISA names there,
// and chosen by ISP_META_FASTEST from what the processor has when it runs.
#pragma once

#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
#define ISP_META_AVX2
#define ISP_META_FASTEST(...)                                        \
  (__builtin_cpu_supports("x86-64-v3") ? isp_meta::avx2::__VA_ARGS__ \
                                       : isp_meta::baseline::__VA_ARGS__)
#else
#define ISP_META_FASTEST(...) (isp_meta::baseline::__VA_ARGS__)
#endif

#define ISP_META_EACH_ISA(...) \
  namespace isp_meta {         \
  namespace baseline {         \
  __VA_ARGS__                  \
  }                            \
  namespace avx2 {             \
  __VA_ARGS__                  \
  }                            \
  }

// What an instruction takes at once.
namespace isp_meta {
namespace baseline {
constexpr int kVectorBytes = 16;
}
namespace avx2 {
constexpr int kVectorBytes = 32;
}
}  // namespace isp_meta

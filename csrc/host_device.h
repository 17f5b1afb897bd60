// What the CPU's loops and the CUDA kernels need in order to share a formula.
#pragma once

#ifdef __CUDACC__
#define ISP_META_HD __host__ __device__ __forceinline__
#else
#define ISP_META_HD inline __attribute__((always_inline))
#endif

// Before a loop over neighbors or channels: what it indexes stays in registers.
#if defined(__CUDA_ARCH__)
#define ISP_META_UNROLL _Pragma("unroll")
#elif defined(__CUDACC__)
#define ISP_META_UNROLL  // the host's half of a .cu file, which runs none of it
#else
#define ISP_META_UNROLL _Pragma("GCC unroll 9")
#endif

// Before a loop whose turns must not all be in registers at once.
#if defined(__CUDA_ARCH__)
#define ISP_META_ROLLED _Pragma("unroll 1")
#else
#define ISP_META_ROLLED
#endif

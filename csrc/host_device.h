// What the CPU loops and the CUDA kernels need in order to share a formula. Formulas are written
// for a run of neighboring pixels: on the CPU a tile of columns, whose loops become vector
// instructions; on a GPU one pixel a thread, whose loops vanish.
#pragma once

#ifdef __CUDACC__
#define ISP_META_HD __host__ __device__ __forceinline__
#define ISP_META_UNROLL_NEIGHBORS _Pragma("unroll")
#else
#define ISP_META_HD inline __attribute__((always_inline))
#define ISP_META_UNROLL_NEIGHBORS _Pragma("GCC unroll 9")
#endif

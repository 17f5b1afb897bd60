// What the CPU loops and the CUDA kernels need in order to share a formula. Formulas are written
// for a run of neighboring pixels: on the CPU a tile of columns, whose loops become vector
// instructions; on a GPU one pixel a thread, whose loops vanish.
#pragma once

#ifdef __CUDACC__
#define ISP_META_HD __host__ __device__ __forceinline__
#else
#define ISP_META_HD inline __attribute__((always_inline))
#endif

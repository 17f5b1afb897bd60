// What kernels share of which one warp works on a block of the picture: how it walks the pixels,
// and sums of products of what it staged of them in shared memory.
#pragma once

#include "launch.h"

namespace isp_meta {

// Pixels of a rectangle, line by line, as a warp walks them: those of a lane are kWarp apart.
struct LaneWalk {
  int width, y, x, down, right;

  __device__ LaneWalk(int width)
      : width(width),
        y(int(threadIdx.x / unsigned(width))),
        x(int(threadIdx.x % unsigned(width))),
        down(int(kWarp / unsigned(width))),
        right(int(kWarp % unsigned(width))) {}

  __device__ void step() {
    y += down, x += right;
    if (x >= width) x -= width, ++y;
  }
};

// Pixels in shared memory, and the pitch of their rows: an odd one puts these in different banks.
constexpr int kStaged = 64, kPitch = kStaged + 1;
// A thread sums the products of kTile rows with kTile others, each number read once for three.
constexpr int kTile = 3, kTileSums = kTile * kTile;

// Adds the products of rows from `left` and `right` on; of `count` pixels every kShares-th alone,
// from `share` on, the others being other threads'.
template <int kShares, class A>
__device__ void add_products(const A* left, const A* right, int share, int count, A* sums) {
  A part[kTileSums] = {};  // of its own, so that long sums stay short
  for (int p = share; share < kShares && p < count; p += kShares) {
    A a[kTile], b[kTile];
    ISP_META_UNROLL
    for (int i = 0; i < kTile; ++i) a[i] = left[i * kPitch + p], b[i] = right[i * kPitch + p];
    ISP_META_UNROLL
    for (int i = 0; i < kTileSums; ++i) part[i] += a[i / kTile] * b[i % kTile];
  }
  ISP_META_UNROLL
  for (int i = 0; i < kTileSums; ++i) sums[i] += part[i];
}

}  // namespace isp_meta

#pragma once

#include "associate/associate.h"
#include "cpu/tiles.h"

namespace isp_meta::ISP_META_ISA {

template <class T>
void associate(const T* logits, T* association, int64_t batch, Grid grid, bool mask_outside,
               int64_t begin, int64_t end) {
  using V = Vector<T>;
  const int64_t plane = grid.pixels(), nine = kNeighbors * plane;
  const bool large = streams<T>(batch * nine, plane);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t first = i / grid.rows() * nine;
    for_tiles(grid, int(i % grid.rows()), [&](Tile tile) {
      const unsigned exists = mask_outside ? tile.exists : kAllNeighbors;
      for (int y = tile.y; y < tile.y + tile.rows; ++y) {
        const int64_t at = first + int64_t(y) * grid.width + tile.x;
        for (int n = 0; n < kNeighbors; ++n) {
          prefetch(logits + at + n * plane, tile.ahead, tile.width);
        }
        for (int x = 0; x < tile.width; x += kLanes<T>) {
          const int left = tile.width - x;
          const T* from = logits + at + x;
          T* to = association + at + x;
          const bool streamed = large && aligned(to);
          V z[kNeighbors];
          if (left >= kLanes<T> && exists == kAllNeighbors) {
            ISP_META_UNROLL
            for (int n = 0; n < kNeighbors; ++n) z[n] = load(from + n * plane);
            softmax(z, kAllNeighbors);
            ISP_META_UNROLL
            for (int n = 0; n < kNeighbors; ++n) stream(to + n * plane, z[n], streamed);
          } else {
            ISP_META_UNROLL
            for (int n = 0; n < kNeighbors; ++n) z[n] = load(from + n * plane, left);
            softmax(z, exists);
            ISP_META_UNROLL
            for (int n = 0; n < kNeighbors; ++n) store(to + n * plane, z[n], left);
          }
        }
      }
    });
  }
  finish_streams();
}

template <class T>
void associate_backward(const T* grad, const T* association, T* grad_logits, int64_t batch,
                        Grid grid, int64_t begin, int64_t end) {
  using V = Vector<T>;
  constexpr int64_t ahead = 256;
  const int64_t plane = grid.pixels(), nine = kNeighbors * plane;
  const bool large = streams<T>(batch * nine, plane);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t first = i / grid.height * nine + i % grid.height * grid.width;
    for (int x = 0; x < grid.width; x += kLanes<T>) {
      const int left = grid.width - x;
      const int64_t at = first + x;
      const bool streamed = large && aligned(grad_logits + at);
      V q[kNeighbors], g[kNeighbors];
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) {
        if (x % (64 / int(sizeof(T))) == 0) {
          prefetch(association + at + n * plane, ahead, 1);
          prefetch(grad + at + n * plane, ahead, 1);
        }
        q[n] = load(association + at + n * plane, left);
        g[n] = load(grad + at + n * plane, left);
      }
      softmax_vjp(q, g);
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) {
        if (left >= kLanes<T>) {
          stream(grad_logits + at + n * plane, g[n], streamed);
        } else {
          store(grad_logits + at + n * plane, g[n], left);
        }
      }
    }
  }
  finish_streams();
}

template void associate(const float*, float*, int64_t, Grid, bool, int64_t, int64_t);
template void associate(const double*, double*, int64_t, Grid, bool, int64_t, int64_t);
template void associate_backward(const float*, const float*, float*, int64_t, Grid, int64_t,
                                 int64_t);
template void associate_backward(const double*, const double*, double*, int64_t, Grid, int64_t,
                                 int64_t);

}  // namespace isp_meta::ISP_META_ISA

#pragma once

#include <memory>

#include "aggregate/aggregate.h"
#include "tiles.h"

namespace isp_meta::ISP_META_ISA {

// sums[(n * channels + c) * kLanes] for three neighbors and kChannels channels: products of q and f
// over a block, lane by lane.
template <int kChannels, class T>
ISP_META_HD void add_products(const T* q, const T* f, int count, int channels, T* sums) {
  Vector<T> products[3][kChannels] = {};
  for (int p = 0; p < count; p += kLanes<T>) {
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) {
      const Vector<T> value = load(f + c * kPacked + p);
#pragma GCC unroll 3
      for (int n = 0; n < 3; ++n) products[n][c] += load(q + n * kPacked + p) * value;
    }
  }
#pragma GCC unroll 3
  for (int n = 0; n < 3; ++n) {
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) {
      store(sums + (n * channels + c) * kLanes<T>, products[n][c]);
    }
  }
}

// What accumulate keeps while it goes down the rows of blocks: of the last three rows the sums of
// every block, sums_of(by, bx)[n * channels + c], and a tile of all planes.
template <class T>
struct BlockSums {
  const Grid grid;
  const int channels;  // the mass, last, is one of them
  const int size = rounded_up(kNeighbors * channels, kLanes<T>);
  const std::unique_ptr<T[]> rows{new T[size_t(3) * grid.cols() * size + kLanes<T>]()};
  const std::unique_ptr<T[]> packed{new T[size_t(kNeighbors + channels) * kPacked]};
  const std::unique_ptr<T[]> lanes{new T[size_t(size) * kLanes<T>]()};

  BlockSums(const Grid& grid, int channels) : grid(grid), channels(channels) {
    T* ones = packed.get() + (kNeighbors + channels - 1) * kPacked;
    for (int i = 0; i < kPacked; ++i) ones[i] = T(1);
  }

  T* sums_of(int by, int bx) const {
    return rows.get() + (int64_t(by % 3) * grid.cols() + bx) * size;
  }

  // The planes of one picture; `limit_f` and `limit_q` end the tensors.
  void sum_row(const T* f, const T* limit_f, const T* q, const T* limit_q, int by) const {
    T* const row = sums_of(by, 0);
    for (int64_t i = 0; i < int64_t(grid.cols()) * size; ++i) row[i] = T(0);
    T* const planes = packed.get();
    for_packed_tiles<T>(grid, by, [&](Tile tile) {
      for (int n = 0; n < kNeighbors; ++n) {
        pack(q + n * grid.pixels(), limit_q, grid, tile, planes + n * kPacked);
      }
      for (int c = 0; c + 1 < channels; ++c) {
        pack(f + c * grid.pixels(), limit_f, grid, tile, planes + (kNeighbors + c) * kPacked);
      }
      for (int b = 0; b < tile.blocks; ++b) {
        add_block(planes + b * tile.pitch, rounded_up(tile.block_pixels(), kLanes<T>),
                  sums_of(by, tile.bx + b));
      }
    });
  }

  void add_block(const T* q, int count, T* sums) const {
    const T* f = q + kNeighbors * kPacked;
    for (int c = 0; c < channels; c += 4) {
      for (int n = 0; n < kNeighbors; n += 3) {
        T* to = lanes.get() + (n * channels + c) * kLanes<T>;
        const T *qn = q + n * kPacked, *fc = f + c * kPacked;
        switch (channels - c) {
          case 1:
            add_products<1>(qn, fc, count, channels, to);
            break;
          case 2:
            add_products<2>(qn, fc, count, channels, to);
            break;
          case 3:
            add_products<3>(qn, fc, count, channels, to);
            break;
          default:
            add_products<4>(qn, fc, count, channels, to);
        }
      }
    }
    for (int i = 0; i < size; i += kLanes<T>) {
      Vector<T> v[kLanes<T>];
      for (int l = 0; l < kLanes<T>; ++l) v[l] = load(lanes.get() + (i + l) * kLanes<T>);
      store(sums + i, load(sums + i) + fold_lanes<T>(v, Sum{}));
    }
  }

  // Row cy of cells from the three rows of blocks around it, in the order of the neighbors.
  void gather(int cy, T* to) const {
    constexpr int lanes = kLanes<T>;
    T* const total = packed.get();
    for (int cx = 0; cx < grid.cols(); ++cx) {
      const T* around[kNeighbors];
      int count = 0;
      for (int k = 0; k < kNeighbors; ++k) {
        const int by = cy + offset_y(k), bx = cx + offset_x(k);
        if (!grid.exists(by, bx)) continue;
        around[count++] = sums_of(by, bx) + neighbor(cy - by, cx - bx) * channels;
      }
      // Of a vector that is not full, the lanes beyond hold another neighbor's sums.
      for (int c = 0; c < channels; c += lanes) {
        Vector<T> sum = {};
        for (int k = 0; k < count; ++k) sum += load(around[k] + c);
        store(total + c, sum);
      }
      for (int c = 0; c < channels; ++c) {
        to[c * grid.cells() + int64_t(cy) * grid.cols() + cx] = total[c];
      }
    }
  }
};

template <class T>
void accumulate(const T* features, const T* association, T* sums, int64_t batch, int channels,
                Grid grid, int64_t begin, int64_t end) {
  const int64_t plane = grid.pixels();
  const T* limit_f = features + batch * channels * plane;
  const T* limit_q = association + batch * kNeighbors * plane;
  const BlockSums<T> blocks(grid, channels + 1);
  int next = 0;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / grid.rows();
    const int cy = int(i % grid.rows());
    if (i == begin || cy == 0) next = most(cy - 1, 0);
    for (; next < least(cy + 2, grid.rows()); ++next) {
      blocks.sum_row(features + b * channels * plane, limit_f, association + b * kNeighbors * plane,
                     limit_q, next);
    }
    blocks.gather(cy, sums + b * (channels + 1) * grid.cells());
  }
}

template <class T>
void distribute(const T* centers, const T* association, T* pixels, int64_t batch, int channels,
                Grid grid, int64_t begin, int64_t end) {
  using V = Vector<T>;
  const int64_t plane = grid.pixels();
  const bool streamed = batch * channels * plane * int64_t(sizeof(T)) > kStreamedBytes;
  for_centers(centers, channels, association, kNeighbors, grid, begin, end,
              [&](auto whole, int64_t b, int64_t at, const T* u, int left, unsigned exists) {
                const T* from = association + b * kNeighbors * plane + at;
                T* to = pixels + b * channels * plane + at;
                V q[kNeighbors];
                ISP_META_UNROLL_NEIGHBORS
                for (int n = 0; n < kNeighbors; ++n) {
                  q[n] = whole             ? load(from + n * plane)
                         : exists >> n & 1 ? load(from + n * plane, left)
                                           : V{};
                }
                for (int c = 0; c < channels; ++c, u += kNeighbors * kTileWidth, to += plane) {
                  V sum = {};
                  ISP_META_UNROLL_NEIGHBORS
                  for (int n = 0; n < kNeighbors; ++n) sum += q[n] * load(u + n * kTileWidth);
                  if (whole) {
                    stream(to, sum, streamed);
                  } else {
                    store(to, sum, left);
                  }
                }
              });
  finish_streams();
}

template <class T>
void correlate(const T* features, const T* centers, T* association, int64_t batch, int channels,
               Grid grid, int64_t begin, int64_t end) {
  using V = Vector<T>;
  const int64_t plane = grid.pixels();
  const bool streamed = batch * kNeighbors * plane * int64_t(sizeof(T)) > kStreamedBytes;
  for_centers(centers, channels + 1, features, channels, grid, begin, end,
              [&](auto whole, int64_t b, int64_t at, const T* u, int left, unsigned exists) {
                const T* from = features + b * channels * plane + at;
                T* to = association + b * kNeighbors * plane + at;
                const T* mass = u + channels * kNeighbors * kTileWidth;
                V sums[kNeighbors];
                ISP_META_UNROLL_NEIGHBORS
                for (int n = 0; n < kNeighbors; ++n) sums[n] = load(mass + n * kTileWidth);
                for (int c = 0; c < channels; ++c, u += kNeighbors * kTileWidth) {
                  const V f = whole ? load(from + c * plane) : load(from + c * plane, left);
                  ISP_META_UNROLL_NEIGHBORS
                  for (int n = 0; n < kNeighbors; ++n) sums[n] += f * load(u + n * kTileWidth);
                }
                ISP_META_UNROLL_NEIGHBORS
                for (int n = 0; n < kNeighbors; ++n) {
                  if (whole) {
                    stream(to + n * plane, sums[n], streamed);
                  } else {
                    store(to + n * plane, exists >> n & 1 ? sums[n] : V{}, left);
                  }
                }
              });
  finish_streams();
}

template void accumulate(const float*, const float*, float*, int64_t, int, Grid, int64_t, int64_t);
template void accumulate(const double*, const double*, double*, int64_t, int, Grid, int64_t,
                         int64_t);
template void distribute(const float*, const float*, float*, int64_t, int, Grid, int64_t, int64_t);
template void distribute(const double*, const double*, double*, int64_t, int, Grid, int64_t,
                         int64_t);
template void correlate(const float*, const float*, float*, int64_t, int, Grid, int64_t, int64_t);
template void correlate(const double*, const double*, double*, int64_t, int, Grid, int64_t,
                        int64_t);

}  // namespace isp_meta::ISP_META_ISA

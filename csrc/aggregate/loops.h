#pragma once

#include <algorithm>

#include "aggregate/aggregate.h"
#include "cpu/tiles.h"

namespace isp_meta::ISP_META_ISA {

// Adds to sums[n * pitch + c * kLanes], lane by lane, the products of q and f over a block: of
// three neighbors and kChannels channels.
template <int kChannels, class T>
ISP_META_HD void add_products(const T* q, const T* f, int count, int pitch, T* sums) {
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
      T* to = sums + n * pitch + c * kLanes<T>;
      store(to, load(to) + products[n][c]);
    }
  }
}

// The same where f is 1.
template <class T>
ISP_META_HD void add_mass(const T* q, int count, int pitch, T* sums) {
  Vector<T> mass[3] = {};
  for (int p = 0; p < count; p += kLanes<T>) {
#pragma GCC unroll 3
    for (int n = 0; n < 3; ++n) mass[n] += load(q + n * kPacked + p);
  }
#pragma GCC unroll 3
  for (int n = 0; n < 3; ++n) store(sums + n * pitch, load(sums + n * pitch) + mass[n]);
}

// What accumulate keeps while it goes down the rows of blocks: the sums of the three rows of cells
// that a row of blocks counts for, lane by lane, with a cell more at both ends, which does not
// exist; and a tile of all planes.
template <class T>
struct CellSums {
  const Grid grid;
  const int channels;  // the mass not among them
  const int pitch = (channels + 1) * kLanes<T>;
  const int row = (grid.cols() + 1 + kLanes<T>)*pitch;
  const Scratch<T> rows{size_t(3) * row};
  const Scratch<T> packed{size_t(kNeighbors + channels) * kPacked};

  CellSums(const Grid& grid, int channels) : grid(grid), channels(channels) {}

  T* sums_of(int cy, int cx) const {
    return rows.get() + int64_t((cy + 3) % 3) * row + int64_t(cx + 1) * pitch;
  }

  void clear_row(int cy) const { std::fill_n(sums_of(cy, -1), row, T(0)); }

  // Adds a row of blocks. The planes of one picture; `limit_f` and `limit_q` end the tensors.
  void add_row(const T* f, const T* limit_f, const T* q, const T* limit_q, int by) const {
    clear_row(by + 1);
    T* const planes = packed.get();
    for_packed_tiles<T>(grid, by, [&](Tile tile) {
      for (int n = 0; n < kNeighbors; ++n) {
        pack(q + n * grid.pixels(), limit_q, grid, tile, planes + n * kPacked);
      }
      for (int c = 0; c < channels; ++c) {
        pack(f + c * grid.pixels(), limit_f, grid, tile, planes + (kNeighbors + c) * kPacked);
      }
      const int count = rounded_up(tile.block_pixels(), kLanes<T>);
      for (int b = 0; b < tile.blocks; ++b) {
        add_block(planes + b * tile.pitch, count, by, tile.bx + b);
      }
    });
  }

  void add_block(const T* q, int count, int by, int bx) const {
    const T* f = q + kNeighbors * kPacked;
    for (int dy = -1; dy <= 1; ++dy, q += 3 * kPacked) {
      T* to = sums_of(by + dy, bx - 1);
      int c = 0;
      for (; c + 4 <= channels; c += 4, to += 4 * kLanes<T>) {
        add_products<4>(q, f + c * kPacked, count, pitch, to);
      }
      for (; c < channels; ++c, to += kLanes<T>) {
        add_products<1>(q, f + c * kPacked, count, pitch, to);
      }
      add_mass(q, count, pitch, to);
    }
  }

  // A row of cells to which all blocks were added, of a plane for each channel.
  void write_row(int cy, T* to) const {
    constexpr int lanes = kLanes<T>;
    to += int64_t(cy) * grid.cols();
    for (int cx = 0; cx < grid.cols(); cx += lanes) {
      const T* from = sums_of(cy, cx);
      for (int c = 0; c <= channels; ++c, from += lanes) {
        Vector<T> v[lanes];
#pragma GCC unroll 8
        for (int l = 0; l < lanes; ++l) v[l] = load(from + l * pitch);
        store(to + c * grid.cells() + cx, fold_lanes<T>(v, Sum{}), grid.cols() - cx);
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
  const CellSums<T> cells(grid, channels);
  int next = 0;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / grid.rows();
    const int cy = int(i % grid.rows());
    if (i == begin || cy == 0) {
      next = most(cy - 1, 0);
      for (int k = -1; k <= 1; ++k) cells.clear_row(next + k);
    }
    for (; next < least(cy + 2, grid.rows()); ++next) {
      cells.add_row(features + b * channels * plane, limit_f, association + b * kNeighbors * plane,
                    limit_q, next);
    }
    cells.write_row(cy, sums + b * (channels + 1) * grid.cells());
  }
}

template <class T>
void distribute(const T* centers, const T* association, T* pixels, int64_t batch, int channels,
                Grid grid, int64_t begin, int64_t end) {
  using V = Vector<T>;
  const int64_t plane = grid.pixels();
  const bool large = streams<T>(batch * channels * plane, plane);
  for_centers(centers, channels, association, kNeighbors, grid, begin, end,
              [&](auto whole, int64_t b, int64_t at, const T* u, int left, unsigned exists) {
                const T* from = association + b * kNeighbors * plane + at;
                T* to = pixels + b * channels * plane + at;
                const bool streamed = large && aligned(to);
                V q[kNeighbors];
                ISP_META_UNROLL
                for (int n = 0; n < kNeighbors; ++n) {
                  q[n] = whole             ? load(from + n * plane)
                         : exists >> n & 1 ? load(from + n * plane, left)
                                           : V{};
                }
                for (int c = 0; c < channels; ++c, u += kNeighbors * kTileWidth, to += plane) {
                  V sum = {};
                  ISP_META_UNROLL
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
  const bool large = streams<T>(batch * kNeighbors * plane, plane);
  for_centers(centers, channels + 1, features, channels, grid, begin, end,
              [&](auto whole, int64_t b, int64_t at, const T* u, int left, unsigned exists) {
                const T* from = features + b * channels * plane + at;
                T* to = association + b * kNeighbors * plane + at;
                const bool streamed = large && aligned(to);
                const T* mass = u + channels * kNeighbors * kTileWidth;
                V sums[kNeighbors];
                ISP_META_UNROLL
                for (int n = 0; n < kNeighbors; ++n) sums[n] = load(mass + n * kTileWidth);
                for (int c = 0; c < channels; ++c, u += kNeighbors * kTileWidth) {
                  const V f = whole ? load(from + c * plane) : load(from + c * plane, left);
                  ISP_META_UNROLL
                  for (int n = 0; n < kNeighbors; ++n) sums[n] += f * load(u + n * kTileWidth);
                }
                ISP_META_UNROLL
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

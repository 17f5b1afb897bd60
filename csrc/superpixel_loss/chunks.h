// Pixels of a row of blocks, brought into the first-level cache a few blocks at a time.
#pragma once

#include <cstddef>

#include "cpu/tiles.h"
#include "superpixel_loss/superpixel_loss.h"

namespace isp_meta::ISP_META_ISA {

// Of eight floats, a row of a cell of 8 x 8, on every processor.
constexpr int kRowBytes = 32;
template <class T>
using Row = Vector<T, kRowBytes>;
template <class T>
constexpr int kRowLanes = kLanes<T, kRowBytes>;

// Pixels of a block in work at once, those of a cell of 8 x 8, and such chunks staged side by side:
// together they stay within the first-level cache.
constexpr int kChunk = 64;
template <class T>
constexpr int kTileChunks = kRowLanes<T>;
// Columns ahead of the tile in work that are asked for, into the second-level cache: where rows lie
// a power of two apart, they would drive each other from the first.
constexpr int kAhead = 128;

template <class T>
struct Chunk {
  alignas(kRowBytes) T q[kNeighbors * kChunk], f[kChannels * kChunk];
  T origin[kChannels];
  int by, bx, y, x, rows, cols, count;  // block; place in the picture; size
  bool first;                           // of its block
  int placed[4] = {};                   // the positions that f holds, which equal blocks share

  // Lanes past the last pixel hold zeros.
  int padded() const {
    return int((unsigned(count) + kRowLanes<T> - 1) / kRowLanes<T> * kRowLanes<T>);
  }

  void clear_padding(T* planes, int number) {
    if (count == padded()) return;
    for (int n = 0; n < number; ++n) {
      for (int i = count; i < padded(); ++i) planes[n * kChunk + i] = T(0);
    }
  }

  // Positions, the first pixel's being (y0, x0).
  void place(int y0, int x0) {
    if (placed[0] == y0 && placed[1] == x0 && placed[2] == rows && placed[3] == cols) return;
    T* to = f + kFeatures * kChunk;
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < cols; ++j, ++to) {
        to[0] = T(y0 + i);
        to[kChunk] = T(x0 + j);
      }
    }
    placed[0] = y0, placed[1] = x0, placed[2] = rows, placed[3] = cols;
  }
};

// Calls copy(chunk, place in the chunk's planes, place in a picture's plane, count) for all pixels
// of a tile, whole rows at a time; `count` is a constant where it is the vectors' length.
template <class T, class F>
inline void for_chunk_rows(const Chunk<T>* tile, int chunks, int pitch, const F& copy) {
  constexpr int lanes = kRowLanes<T>;
  const bool even = tile[0].cols == lanes && tile[chunks - 1].cols == lanes;
  for (int y = 0; y < tile->rows; ++y) {
    const int64_t at = int64_t(tile->y + y) * pitch + tile->x;
    if (even && chunks == kTileChunks<T>) {
#pragma GCC unroll 8
      for (int i = 0; i < kTileChunks<T>; ++i) copy(i, y * lanes, at + i * lanes, lanes);
      continue;
    }
    if (even) {
      for (int i = 0; i < chunks; ++i) copy(i, y * lanes, at + i * lanes, lanes);
      continue;
    }
    for (int i = 0; i < chunks; ++i) {
      copy(i, y * tile[i].cols, at + tile[i].x - tile->x, tile[i].cols);
    }
  }
}

template <class T>
inline void stage_plane(const T* plane, int pitch, Chunk<T>* tile, int chunks, int at,
                        const T* origins) {
  T* to = tile->q + at;
  for_chunk_rows(tile, chunks, pitch, [&](int i, int place, int64_t pixel, int count) {
    T* row = to + i * (sizeof(Chunk<T>) / sizeof(T)) + place;
    const T* from = plane + pixel;
    if (count == kRowLanes<T>) {
      __builtin_prefetch(from + kAhead, 0, 2);
      store<kRowBytes>(row, load<kRowBytes>(from) - origins[i]);
    } else {
      for (int x = 0; x < count; ++x) row[x] = from[x] - origins[i];
    }
  });
}

// Fills in the logits, in the place of q, and f.
template <class T>
inline void stage(const SuperpixelLoss<T>& of, int64_t b, Chunk<T>* tile, int chunks) {
  static_assert(offsetof(Chunk<T>, f) == kNeighbors * kChunk * sizeof(T));
  T origins[kNeighbors + kFeatures][kTileChunks<T>] = {};
  for (int i = 0; i < chunks; ++i) {
    Chunk<T>& one = tile[i];
    for (int c = 0; c < kChannels; ++c) one.origin[c] = origin(of, b, one.by, one.bx, c);
    for (int c = 0; c < kFeatures; ++c) origins[kNeighbors + c][i] = one.origin[c];
    one.place(one.y - middle_y(of.grid, one.by), one.x - middle_x(of.grid, one.bx));
  }
  for (int n = 0; n < kNeighbors + kFeatures; ++n) {
    const T* plane = n < kNeighbors ? of.logits + (b * kNeighbors + n) * of.grid.pixels()
                                    : of.plane_of(b, n - kNeighbors);
    stage_plane(plane, of.grid.width, tile, chunks, n * kChunk, origins[n]);
  }
  for (int i = 0; i < chunks; ++i) tile[i].clear_padding(tile[i].q, kNeighbors + kChannels);
}

template <class T>
inline void associate_chunk(Grid grid, Chunk<T>& chunk) {
  const unsigned exists = grid.neighbors(chunk.by, chunk.bx);
  const auto run = [&](unsigned exists) {
    for (T* q = chunk.q; q < chunk.q + chunk.padded(); q += kLanes<T>) {
      Vector<T> z[kNeighbors];
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) z[n] = load(q + n * kChunk);
      softmax(z, exists);
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) store(q + n * kChunk, z[n]);
    }
  };
  if (exists == kAllNeighbors) {
    run(kAllNeighbors);
  } else {
    run(exists);
  }
  chunk.clear_padding(chunk.q, kNeighbors);
}

// Calls run(picture, tile, chunks) along rows of blocks [begin, end) of a batch; the chunks of one
// block come row-major.
template <class T, class F>
inline void for_chunks(const SuperpixelLoss<T>& of, int64_t begin, int64_t end, const F& run) {
  const Grid grid = of.grid;
  Chunk<T> tile[kTileChunks<T>];
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / grid.rows();
    const int by = int(i % grid.rows());
    const int top = grid.begin(by), bottom = grid.end_y(by);
    int chunks = 0;
    for (int bx = 0; bx < grid.cols(); ++bx) {
      const int left = grid.begin(bx), right = grid.end_x(bx), width = right - left;
      const int rows = width < kChunk ? kChunk / width : 1;
      const bool whole = bottom - top <= rows && width <= kChunk;
      for (int y = top; y < bottom; y += rows) {
        for (int x = left; x < right; x += kChunk) {
          Chunk<T>& one = tile[chunks++];
          one.by = by, one.bx = bx, one.y = y, one.x = x;
          one.rows = least(rows, bottom - y);
          one.cols = least(kChunk, right - x);
          one.count = one.rows * one.cols;
          one.first = y == top && x == left;
          if (whole && chunks < kTileChunks<T> && bx + 1 < grid.cols()) continue;
          stage(of, b, tile, chunks);
          run(b, tile, chunks);
          chunks = 0;
        }
      }
    }
  }
}

}  // namespace isp_meta::ISP_META_ISA

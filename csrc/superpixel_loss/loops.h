#pragma once

#include <utility>

#include "cpu/tiles.h"
#include "superpixel_loss/chunks.h"
#include "superpixel_loss/superpixel_loss.h"

namespace isp_meta::ISP_META_ISA {

// to(i, j): sum, by lanes, of the products of row i of a with row j of b; of a with itself the
// upper triangle alone.
template <int kA, int kB, bool kUpper, class T, class N, class To>
inline void products(const T* a, const T* b, N padded, const To& to) {
  Row<T> sums[kA][kB] = {};
  for (int p = 0; p < padded; p += kRowLanes<T>) {
#pragma GCC unroll 4
    for (int i = 0; i < kA; ++i) {
#pragma GCC unroll 4
      for (int j = kUpper ? i : 0; j < kB; ++j) {
        sums[i][j] += load<kRowBytes>(a + i * kChunk + p) * load<kRowBytes>(b + j * kChunk + p);
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kA; ++i) {
#pragma GCC unroll 4
    for (int j = kUpper ? i : 0; j < kB; ++j) to(i, j) = sums[i][j];
  }
}

// a's lanes kHalf apart added, and b's in the lanes that this leaves free.
template <int kHalf, class V, size_t... kLane>
inline void add_apart(V& a, const V& b, std::index_sequence<kLane...>) {
  constexpr int n = sizeof...(kLane);
  a = __builtin_shufflevector(a, b, (kLane & kHalf ? n + (kLane ^ kHalf) : kLane)...) +
      __builtin_shufflevector(a, b, (kLane & kHalf ? n + kLane : kLane ^ kHalf)...);
}

// Vector whose lane l is the sum of the lanes of v[l], by halves.
template <class T, int kHalf = kRowLanes<T> / 2>
inline void add_lanes(Row<T>* v) {
#pragma GCC unroll 4
  for (int i = 0; i < kHalf; ++i) {
    add_apart<kHalf>(v[i], v[i + kHalf], std::make_index_sequence<kRowLanes<T>>{});
  }
  if constexpr (kHalf > 1) add_lanes<T, kHalf / 2>(v);
}

// Calls run(chunk.padded()), which is a constant in the most frequent case.
template <class T, class F>
__attribute__((always_inline)) inline void with_padded(const Chunk<T>& chunk, const F& run) {
  if (chunk.padded() == kChunk) {
    run(std::integral_constant<int, kChunk>{});
  } else {
    run(chunk.padded());
  }
}

// Adds the sums over a chunk to a block's record.
template <class T, class N>
inline void add_sums(const Chunk<T>& chunk, N padded, T* record) {
  using V = Row<T>;
  constexpr int lanes = kRowLanes<T>, groups = (kSums + lanes - 1) / lanes;
  V sums[groups * lanes];
  for (int i = kSums; i < groups * lanes; ++i) sums[i] = V{};
  for (int k = 0; k < kNeighbors; k += 3) {
    const T* q = chunk.q + k * kChunk;
    for (int c = 0; c < kChannels; c += 4) {
      products<3, 4, false>(q, chunk.f + c * kChunk, padded, [&](int i, int j) -> V& {
        return sums[kAtN + (k + i) * kChannels + c + j];
      });
    }
    products<3, 3, true>(q, q, padded,
                         [&](int i, int j) -> V& { return sums[at_m(k + i, k + j)]; });
    for (int l = k + 3; l < kNeighbors; l += 3) {
      products<3, 3, false>(q, chunk.q + l * kChunk, padded,
                            [&](int i, int j) -> V& { return sums[at_m(k + i, l + j)]; });
    }
  }
  for (int r = 0; r < kNeighbors; ++r) {
    V sum = {};
    for (int p = 0; p < padded; p += lanes) sum += load<kRowBytes>(chunk.q + r * kChunk + p);
    sums[kAtD + r] = sum;
  }
  for (int c = 0; c < kChannels; ++c) {
    V sum = {};
    for (int p = 0; p < padded; p += lanes) {
      const V f = load<kRowBytes>(chunk.f + c * kChunk + p);
      sum += f * f;
    }
    sums[kAtF + c] = sum;
  }
  for (int g = 0; g < groups; ++g) {
    add_lanes<T>(sums + g * lanes);
    T* to = record + g * lanes;
    store<kRowBytes>(to, load<kRowBytes>(to) + sums[g * lanes]);
  }
}

template <class T>
void summarize(const SuperpixelLoss<T>& of, int64_t begin, int64_t end) {
  for_chunks(of, begin, end, [&](int64_t b, Chunk<T>* tile, int chunks) {
    for (int i = 0; i < chunks; ++i) {
      Chunk<T>& chunk = tile[i];
      associate_chunk(of.grid, chunk);
      const int64_t at = of.cell_at(b, chunk.by, chunk.bx);
      T* record = of.records + at * kRecord;
      if (chunk.first) {
        for (int s = 0; s < kRecord; ++s) record[s] = T(0);
      }
      with_padded(chunk, [&](auto padded) { add_sums(chunk, padded, record); });
      for (int c = 0; c < kChannels; ++c) record[kAtOrigin + c] = chunk.origin[c];
    }
  });
}

// Calls run(c, weights) for the runs of channels that fill a vector.
template <class T, class F>
inline void for_runs(const Weights<T>& weights, const F& run) {
  for (int c = 0; c < kChannels; c += kRowLanes<T>) {
    run(c, run_of<Row<T>>(c, [&](int one) { return weights.of(one); }));
  }
}

template <class T>
void center(const SuperpixelLoss<T>& of, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / of.grid.rows();
    const int cy = int(i % of.grid.rows());
    const int64_t first = of.cell_at(b, 0, 0);
    for (int cx = 0; cx < of.grid.cols(); ++cx) {
      const int64_t at = of.cell_at(b, cy, cx);
      for (int c = 0; c < kChannels; c += kRowLanes<T>) {
        store_run(of.centers + at * kChannels + c,
                  gather_center<Row<T>>(of.records + first * kRecord, of.grid, cy, cx, c));
      }
    }
  }
}

template <class T>
void compare(const SuperpixelLoss<T>& of, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / of.grid.rows();
    const int by = int(i % of.grid.rows());
    const T* centers = of.centers + of.cell_at(b, 0, 0) * kChannels;
    double sum = 0;
    for_runs(of.weights, [&](int c, const Row<T>& weight) {
      for (int bx = 0; bx < of.grid.cols(); ++bx) {
        T* record = of.records + of.cell_at(b, by, bx) * kRecord;
        const Row<T> share = resolve(record, centers, of.grid, weight, by, bx, c);
        for (int l = 0; l < kRowLanes<T>; ++l) sum += double(share[l]);
      }
    });
    of.shares[i] = sum;
  }
}

template <class T>
void slope(const SuperpixelLoss<T>& of, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / of.grid.rows();
    const int cy = int(i % of.grid.rows());
    const T* records = of.records + of.cell_at(b, 0, 0) * kRecord;
    for_runs(of.weights, [&](int c, const Row<T>& weight) {
      for (int cx = 0; cx < of.grid.cols(); ++cx) {
        store_run(of.slopes + of.cell_at(b, cy, cx) * kChannels + c,
                  gather_slope(records, of.grid, weight, cy, cx, c));
      }
    });
  }
}

template <class T>
inline void make_slopes(const SuperpixelLoss<T>& of, int64_t b, const Chunk<T>& chunk,
                        Slopes<T>& slopes) {
  constexpr int lanes = kRowLanes<T>;
  const int64_t first = of.cell_at(b, 0, 0) * kChannels;
  Row<T> sums[(kPairs + kNeighbors + lanes - 1) / lanes * lanes] = {};
  for_runs(of.weights, [&](int c, const Row<T>& weight) {
    Row<T> u[kNeighbors], v[kNeighbors];
    const Row<T> origin = load_run<Row<T>>(chunk.origin + c);
    centers_around(of.centers + first, origin, of.grid, chunk.by, chunk.bx, c, u);
    slopes_around(of.slopes + first, of.grid, chunk.by, chunk.bx, c, v);
    auto* a = sums;
    ISP_META_UNROLL
    for (int k = 0; k < kNeighbors; ++k) {
      const Row<T> scaled = T(2) * weight * u[k];
      store_run(slopes.b + k * kChannels + c, Row<T>(v[k] - scaled));
      ISP_META_UNROLL
      for (int l = k; l < kNeighbors; ++l) *a++ += scaled * u[l];
      sums[kPairs + k] += u[k] * v[k];
    }
  });
  for (int i = 0; i < kPairs + kNeighbors; i += lanes) {
    add_lanes<T>(sums + i);
    store_run(slopes.a_h + i, sums[i]);
  }
}

// The slopes by their logits of the pixels in a chunk, in the place of q.
template <class T>
inline void slope_logits(const Slopes<T>& slopes, T grad, Chunk<T>& chunk) {
  for (int p = 0; p < chunk.padded(); p += kRowLanes<T>) {
    T* q = chunk.q + p;
    Row<T> dz[kNeighbors];
    logit_slopes<3>(
        slopes, grad, [&](int k) { return load<kRowBytes>(q + k * kChunk); },
        [&](int c) { return load<kRowBytes>(chunk.f + c * kChunk + p); }, dz);
    for (int k = 0; k < kNeighbors; ++k) store<kRowBytes>(q + k * kChunk, dz[k]);
  }
}

// A plane of a picture from q's place in a tile.
template <class T>
inline void unstage_plane(const Chunk<T>* tile, int chunks, int at, T* plane, int pitch,
                          bool large) {
  const bool streamed = large && aligned(plane + tile->x) && pitch % kLanes<T> == 0;
  const T* from = tile->q + at;
  for_chunk_rows(tile, chunks, pitch, [&](int i, int place, int64_t pixel, int count) {
    const T* row = from + i * (sizeof(Chunk<T>) / sizeof(T)) + place;
    T* to = plane + pixel;
    if (count == kRowLanes<T>) {
      if constexpr (kVectorBytes == kRowBytes) {
        stream(to, load(row), streamed);
      } else {
        store<kRowBytes>(to, load<kRowBytes>(row));
      }
    } else {
      for (int x = 0; x < count; ++x) to[x] = row[x];
    }
  });
}

template <class T>
void descend(const SuperpixelLoss<T>& of, int64_t begin, int64_t end) {
  Slopes<T> slopes;
  const int64_t plane = of.grid.pixels();
  const bool large = streams<T>(kNeighbors * plane, plane);
  for_chunks(of, begin, end, [&](int64_t b, Chunk<T>* tile, int chunks) {
    for (int i = 0; i < chunks; ++i) {
      if (tile[i].first) make_slopes(of, b, tile[i], slopes);
      associate_chunk(of.grid, tile[i]);
      slope_logits(slopes, *of.grad, tile[i]);
    }
    for (int n = 0; n < kNeighbors; ++n) {
      unstage_plane(tile, chunks, n * kChunk, of.grad_logits + (b * kNeighbors + n) * plane,
                    of.grid.width, large);
    }
  });
  finish_streams();
}

template void summarize(const SuperpixelLoss<float>&, int64_t, int64_t);
template void summarize(const SuperpixelLoss<double>&, int64_t, int64_t);
template void center(const SuperpixelLoss<float>&, int64_t, int64_t);
template void center(const SuperpixelLoss<double>&, int64_t, int64_t);
template void compare(const SuperpixelLoss<float>&, int64_t, int64_t);
template void compare(const SuperpixelLoss<double>&, int64_t, int64_t);
template void slope(const SuperpixelLoss<float>&, int64_t, int64_t);
template void slope(const SuperpixelLoss<double>&, int64_t, int64_t);
template void descend(const SuperpixelLoss<float>&, int64_t, int64_t);
template void descend(const SuperpixelLoss<double>&, int64_t, int64_t);

}  // namespace isp_meta::ISP_META_ISA

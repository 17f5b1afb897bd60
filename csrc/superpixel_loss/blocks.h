// The loss on the CPU, one row of blocks or cells a call; compiled as chunks.h is.
#include <utility>

#include "superpixel_loss/chunks.h"
#include "superpixel_loss/dispatch.h"

namespace isp_meta::ISP_META_ISA {
namespace {

// to(i, j): sum, by lanes, of the products of row i of a with row j of b; of a with itself the
// upper triangle alone.
template <int kA, int kB, bool kUpper, class T, class N, class To>
inline void products(const T* a, const T* b, N padded, const To& to) {
  using V = typename Lanes<T>::V;
  V sums[kA][kB] = {};
  for (int p = 0; p < padded; p += Lanes<T>::count) {
#pragma GCC unroll 4
    for (int i = 0; i < kA; ++i) {
#pragma GCC unroll 4
      for (int j = kUpper ? i : 0; j < kB; ++j) {
        sums[i][j] += *(const V*)(a + i * kChunk + p) * *(const V*)(b + j * kChunk + p);
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
inline void fold(V& a, const V& b, std::index_sequence<kLane...>) {
  constexpr int n = sizeof...(kLane);
  a = __builtin_shufflevector(a, b, (kLane & kHalf ? n + (kLane ^ kHalf) : kLane)...) +
      __builtin_shufflevector(a, b, (kLane & kHalf ? n + kLane : kLane ^ kHalf)...);
}

// Vector whose lane l is the sum of the lanes of v[l].
template <class T, int kHalf = Lanes<T>::count / 2>
inline void add_lanes(typename Lanes<T>::V* v) {
#pragma GCC unroll 4
  for (int i = 0; i < kHalf; ++i) {
    fold<kHalf>(v[i], v[i + kHalf], std::make_index_sequence<Lanes<T>::count>{});
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
  using V = typename Lanes<T>::V;
  constexpr int lanes = Lanes<T>::count, groups = (kSums + lanes - 1) / lanes;
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
    for (int p = 0; p < padded; p += lanes) sum += *(const V*)(chunk.q + r * kChunk + p);
    sums[kAtD + r] = sum;
  }
  for (int c = 0; c < kChannels; ++c) {
    V sum = {};
    for (int p = 0; p < padded; p += lanes) {
      const V f = *(const V*)(chunk.f + c * kChunk + p);
      sum += f * f;
    }
    sums[kAtF + c] = sum;
  }
  for (int g = 0; g < groups; ++g) {
    add_lanes<T>(sums + g * lanes);
    *(typename Lanes<T>::Unaligned*)(record + g * lanes) += sums[g * lanes];
  }
}

// Chunks come in the order of memory: the first of equal values stays. NaN fails the comparison.
template <class T, class N>
inline void add_candidates(const Chunk<T>& chunk, N padded, int width, Candidate<T>* candidates) {
  using V = typename Lanes<T>::V;
  using I = typename Lanes<T>::I;
  constexpr int lanes = Lanes<T>::count;
  I lane;
  for (int l = 0; l < lanes; ++l) lane[l] = l;
  for (int k = 0; k < kNeighbors; ++k) {
    const T* q = chunk.q + k * kChunk;
    V best = V{} + candidates[k].value;
    for (int p = 0; p < padded; p += lanes) {
      const V next = *(const V*)(q + p);
      best = next > best ? next : best;
    }
    T value = best[0];
#pragma GCC unroll 8
    for (int l = 1; l < lanes; ++l) value = best[l] > value ? best[l] : value;
    if (!(value > candidates[k].value)) continue;
    I at = I{} + kChunk;
    for (int p = padded - lanes; p >= 0; p -= lanes) {
      at = *(const V*)(q + p) == value ? lane + p : at;
    }
    int place = int(at[0]);
#pragma GCC unroll 8
    for (int l = 1; l < lanes; ++l) place = at[l] < place ? int(at[l]) : place;
    const int64_t y = chunk.y + place / chunk.cols, x = chunk.x + place % chunk.cols;
    candidates[k] = {y * width + x, value};
  }
}

// First pass, over the pixels of a row of blocks: their records and candidates.
template <class T>
void summarize(const SuperpixelLoss<T>& of, int64_t b, int by) {
  for_tiles(of, b, by, [&](Chunk<T>* tile, int chunks) {
    for (int i = 0; i < chunks; ++i) {
      Chunk<T>& chunk = tile[i];
      associate(of.grid, chunk);
      const int64_t at = of.cell_at(b, by, chunk.bx);
      T* record = of.records + at * kRecord;
      if (chunk.first) {
        for (int s = 0; s < kRecord; ++s) record[s] = T(0);
      }
      with_padded(chunk, [&](auto padded) { add_sums(chunk, padded, record); });
      for (int c = 0; c < kChannels; ++c) record[kAtOrigin + c] = chunk.origin[c];
      if (!of.candidates) continue;
      Candidate<T>* candidates = of.candidates + at * kNeighbors;
      for (int k = 0; chunk.first && k < kNeighbors; ++k) candidates[k] = {-1, T(0)};
      with_padded(chunk,
                  [&](auto padded) { add_candidates(chunk, padded, of.grid.width, candidates); });
    }
  });
}

// Calls run(c, weights) for the runs of channels that fill a vector.
template <class T, class F>
inline void for_runs(const Weights<T>& weights, const F& run) {
  for (int c = 0; c < kChannels; c += Lanes<T>::count) {
    typename Lanes<T>::Unaligned run_weights;
    fill(run_weights, c, [&](int one) { return weights.of(one); });
    run(c, run_weights);
  }
}

// Centers, and samples where wanted, of a row of cells.
template <class T>
void center(const SuperpixelLoss<T>& of, int64_t b, int cy) {
  using R = typename Lanes<T>::Unaligned;
  const int64_t first = of.cell_at(b, 0, 0);
  for (int cx = 0; cx < of.grid.cols(); ++cx) {
    const int64_t at = of.cell_at(b, cy, cx);
    for (int c = 0; c < kChannels; c += Lanes<T>::count) {
      gather_center<R>(of.records + first * kRecord, of.grid, cy, cx, c,
                       of.centers + at * kChannels);
    }
    if (!of.index) continue;
    of.index[at] = gather_index(of.candidates + first * kNeighbors, of.grid, cy, cx);
  }
}

// A row of blocks' share of the loss.
template <class T>
void compare(const SuperpixelLoss<T>& of, int64_t b, int by) {
  using R = typename Lanes<T>::Unaligned;
  const T* centers = of.centers + of.cell_at(b, 0, 0) * kChannels;
  double sum = 0;
  for_runs(of.weights, [&](int c, const R& weight) {
    for (int bx = 0; bx < of.grid.cols(); ++bx) {
      R share;
      resolve(of.records + of.cell_at(b, by, bx) * kRecord, centers, of.grid, weight, by, bx, c,
              share);
      for (int i = 0; i < Lanes<T>::count; ++i) sum += double(share[i]);
    }
  });
  of.shares[b * of.grid.rows() + by] = sum;
}

// The loss's slopes by the centers of a row of cells.
template <class T>
void slope(const SuperpixelLoss<T>& of, int64_t b, int cy) {
  using R = typename Lanes<T>::Unaligned;
  const T* records = of.records + of.cell_at(b, 0, 0) * kRecord;
  for_runs(of.weights, [&](int c, const R& weight) {
    for (int cx = 0; cx < of.grid.cols(); ++cx) {
      gather_slope(records, of.grid, weight, cy, cx, c,
                   of.slopes + of.cell_at(b, cy, cx) * kChannels);
    }
  });
}

template <class T>
inline void make_slopes(const SuperpixelLoss<T>& of, int64_t b, const Chunk<T>& chunk,
                        Slopes<T>& slopes) {
  using R = typename Lanes<T>::Unaligned;
  constexpr int lanes = Lanes<T>::count;
  const int64_t first = of.cell_at(b, 0, 0) * kChannels;
  typename Lanes<T>::V sums[(kPairs + kNeighbors + lanes - 1) / lanes * lanes] = {};
  for_runs(of.weights, [&](int c, const R& weight) {
    R origin, u[kNeighbors], v[kNeighbors];
    isp_meta::load(origin, chunk.origin + c);
    centers_around(of.centers + first, origin, of.grid, chunk.by, chunk.bx, c, u);
    slopes_around(of.slopes + first, of.grid, chunk.by, chunk.bx, c, v);
    auto* a = sums;
#pragma GCC unroll 9
    for (int k = 0; k < kNeighbors; ++k) {
      const R scaled = T(2) * weight * u[k];
      isp_meta::store(R(v[k] - scaled), slopes.b + k * kChannels + c);
#pragma GCC unroll 9
      for (int l = k; l < kNeighbors; ++l) *a++ += scaled * u[l];
      sums[kPairs + k] += u[k] * v[k];
    }
  });
  for (int i = 0; i < kPairs + kNeighbors; i += lanes) {
    add_lanes<T>(sums + i);
    isp_meta::store(sums[i], slopes.a_h + i);
  }
}

// The slopes by their logits of the pixels in a chunk, in the place of q.
template <class T>
inline void slope_logits(const Slopes<T>& slopes, T grad, Chunk<T>& chunk) {
  using V = typename Lanes<T>::V;
  for (int p = 0; p < chunk.padded(); p += Lanes<T>::count) {
    V mean = {}, dq[kNeighbors];
#pragma GCC unroll 3
    for (int k = 0; k < kNeighbors; k += 3) {
      V sums[3];
      for (int i = 0; i < 3; ++i) sums[i] = V{} - slopes.h(k + i);
#pragma GCC unroll 9
      for (int l = 0; l < kNeighbors; ++l) {
        const V q = *(const V*)(chunk.q + l * kChunk + p);
        for (int i = 0; i < 3; ++i) sums[i] += slopes.a(k + i, l) * q;
      }
#pragma GCC unroll 8
      for (int c = 0; c < kChannels; ++c) {
        const V f = *(const V*)(chunk.f + c * kChunk + p);
        for (int i = 0; i < 3; ++i) sums[i] += slopes.b[(k + i) * kChannels + c] * f;
      }
      for (int i = 0; i < 3; ++i) {
        mean += *(const V*)(chunk.q + (k + i) * kChunk + p) * sums[i];
        dq[k + i] = sums[i];
      }
    }
    for (int k = 0; k < kNeighbors; ++k) {
      V& q = *(V*)(chunk.q + k * kChunk + p);
      q = grad * q * (dq[k] - mean);
    }
  }
}

// A plane of a picture from q's place in a tile.
template <class T>
inline void unstage_plane(const Chunk<T>* tile, int chunks, int at, T* plane, int pitch,
                          bool large) {
  using V = typename Lanes<T>::V;
  using Unaligned = typename Lanes<T>::Unaligned;
  const bool streamed = large && aligned(plane + tile->x) && pitch % kLanes<T> == 0;
  const T* from = tile->q + at;
  for_rows(tile, chunks, pitch, [&](int i, int place, int64_t pixel, int count) {
    const T* row = from + i * (sizeof(Chunk<T>) / sizeof(T)) + place;
    T* to = plane + pixel;
    if (count == Lanes<T>::count) {
      if constexpr (kVectorBytes == sizeof(V)) {
        stream(to, *(const V*)row, streamed);
      } else {
        *(Unaligned*)to = *(const V*)row;
      }
    } else {
      for (int x = 0; x < count; ++x) to[x] = row[x];
    }
  });
}

// Second pass, over the pixels of a row of blocks: the loss's slopes by their logits.
template <class T>
void descend(const SuperpixelLoss<T>& of, int64_t b, int by) {
  Slopes<T> slopes;
  const int64_t plane = of.grid.pixels();
  const bool large = streams<T>(kNeighbors * plane, plane);
  for_tiles(of, b, by, [&](Chunk<T>* tile, int chunks) {
    for (int i = 0; i < chunks; ++i) {
      if (tile[i].first) make_slopes(of, b, tile[i], slopes);
      associate(of.grid, tile[i]);
      slope_logits(slopes, *of.grad, tile[i]);
    }
    for (int n = 0; n < kNeighbors; ++n) {
      unstage_plane(tile, chunks, n * kChunk, of.grad_logits + (b * kNeighbors + n) * plane,
                    of.grid.width, large);
    }
  });
  finish_streams();
}

}  // namespace

template <class T>
const SuperpixelLossRows<T>& superpixel_loss_rows() {
  static constexpr SuperpixelLossRows<T> rows{summarize<T>, center<T>, compare<T>, slope<T>,
                                              descend<T>};
  return rows;
}

template const SuperpixelLossRows<float>& superpixel_loss_rows();
template const SuperpixelLossRows<double>& superpixel_loss_rows();

}  // namespace isp_meta::ISP_META_ISA

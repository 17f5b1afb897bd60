// The superpixel loss in two passes over the pixels, Eq. 1 of Nam et al., CVPR 2022:
//
//     L = sum over pixels p, channels c of w_c (f_c(p) - f'_c(p))^2,
//     f'_c(p) = sum over n of q(n, p) u_c(cell n of p),  u = means weighted by q (Eq. 2)
//
// f are three channels of sRGB, three of raw, and the pixel's position. The first pass leaves sums
// of every block, from which the cells get u, and then L and its slopes without a pixel read again:
//
//     D_k = sum of q_k      N_kc = sum of q_k f_c      M_kl = sum of q_k q_l      F_c = sum of
//     f_c^2 L   = sum over blocks, c of w_c (F_c + sum over k of u_kc (e_kc - N_kc)),  e = M u - N
//     dL/du_kc = 2 w_c sum over blocks of e_kc
//
// The second pass turns them into slopes by the logits. Inside a block f and u are relative to its
// middle pixel: their sums stay small, so that float keeps its digits in the differences above.
#pragma once

#include "associate/associate.h"
#include "dtype.h"
#include "grid.h"

// Keeps small arrays in registers.
#if defined(__CUDA_ARCH__)
#define ISP_META_UNROLL_NEIGHBORS _Pragma("unroll")
#elif defined(__CUDACC__)
#define ISP_META_UNROLL_NEIGHBORS  // the host's half of a .cu file, which runs none of it
#else
#define ISP_META_UNROLL_NEIGHBORS _Pragma("GCC unroll 9")
#endif

namespace isp_meta {

constexpr int kColors = 3;
constexpr int kFeatures = 2 * kColors;
constexpr int kChannels = kFeatures + 2;  // of a center: sRGB, raw, y, x

// A block's record: each sum for all its indices, then its middle pixel, by channels.
constexpr int kAtN = 0;
constexpr int kAtD = kAtN + kNeighbors * kChannels;
constexpr int kAtM = kAtD + kNeighbors;
constexpr int kAtF = kAtM + kNeighbors * (kNeighbors + 1) / 2;
constexpr int kSums = kAtF + kChannels;
constexpr int kAtOrigin = kSums;
constexpr int kRecord = 144;
static_assert(kAtOrigin + kChannels <= kRecord);

// Place of M_kl, k <= l, for M is symmetric.
ISP_META_HD constexpr int at_m(int k, int l) { return kAtM + k * kNeighbors - k * (k + 1) / 2 + l; }
ISP_META_HD constexpr int at_m_any(int k, int l) { return k < l ? at_m(k, l) : at_m(l, k); }

// A block's strongest pixel for one of its neighbors, by flat index; -1 where none is positive.
template <class A>
struct Candidate {
  int64_t index;
  A value;
};

template <class A>
struct Weights {
  A srgb, raw, position;

  ISP_META_HD A of(int c) const { return c < kColors ? srgb : c < kFeatures ? raw : position; }
};

// Everything one call works on, whatever its element type; tensors are contiguous.
struct SuperpixelLossTensors {
  const void *logits, *srgb, *raw;  // (B, 9, H, W), (B, 3, H, W), (B, 3, H, W)
  int64_t batch;
  Grid grid;
  Weights<double> weights;
  void* centers = nullptr;     // (B, h, w, kChannels); positions relative to the cell's first pixel
  void* slopes = nullptr;      // as centers: (dL/du) / D
  void* records = nullptr;     // (B, h, w, kRecord)
  void* candidates = nullptr;  // (B, h, w, 9), or null
  int64_t* index = nullptr;    // (B, h, w), or null
  double* shares =
      nullptr;           // of the loss, one a row of blocks, on a GPU one a kBlocksPerShare blocks
  void* loss = nullptr;  // (1)
  const void* grad = nullptr;   // (1)
  void* grad_logits = nullptr;  // (B, 9, H, W)
};

template <class T, class A = AccumulateType<T>>
struct SuperpixelLoss {
  const T *logits, *srgb, *raw;
  Grid grid;
  Weights<A> weights;
  A *centers, *slopes, *records;
  Candidate<A>* candidates;
  int64_t* index;
  double* shares;
  A* loss;
  const A* grad;
  T* grad_logits;

  explicit SuperpixelLoss(const SuperpixelLossTensors& of)
      : logits(static_cast<const T*>(of.logits)),
        srgb(static_cast<const T*>(of.srgb)),
        raw(static_cast<const T*>(of.raw)),
        grid(of.grid),
        weights{A(of.weights.srgb), A(of.weights.raw), A(of.weights.position)},
        centers(static_cast<A*>(of.centers)),
        slopes(static_cast<A*>(of.slopes)),
        records(static_cast<A*>(of.records)),
        candidates(static_cast<Candidate<A>*>(of.candidates)),
        index(of.index),
        shares(of.shares),
        loss(static_cast<A*>(of.loss)),
        grad(static_cast<const A*>(of.grad)),
        grad_logits(static_cast<T*>(of.grad_logits)) {}

  ISP_META_HD const T* plane_of(int64_t b, int c) const {
    return (c < kColors ? srgb : raw) + (b * kColors + c % kColors) * grid.pixels();
  }
  ISP_META_HD int64_t cell_at(int64_t b, int cy, int cx) const {
    return b * grid.cells() + int64_t(cy) * grid.cols() + cx;
  }
};

ISP_META_HD int middle(int begin, int end) { return begin + (end - begin) / 2; }
ISP_META_HD int middle_y(Grid grid, int by) { return middle(grid.begin(by), grid.end_y(by)); }
ISP_META_HD int middle_x(Grid grid, int bx) { return middle(grid.begin(bx), grid.end_x(bx)); }

// Channel c of a block's middle pixel; positions count from its first.
template <class T>
ISP_META_HD AccumulateType<T> origin(const SuperpixelLoss<T>& of, int64_t b, int by, int bx,
                                     int c) {
  using A = AccumulateType<T>;
  const int y = middle_y(of.grid, by), x = middle_x(of.grid, bx);
  if (c < kFeatures) return A(of.plane_of(b, c)[int64_t(y) * of.grid.width + x]);
  return c == kFeatures ? A(y - of.grid.begin(by)) : A(x - of.grid.begin(bx));
}

// The functions below work on a run of channels from c on: R is one channel on a GPU, a vector of
// them on the CPU.
template <class R, class F>
ISP_META_HD void fill(R& run, int c, const F& of) {
  if constexpr (std::is_arithmetic_v<R>) {
    run = of(c);
  } else {
    for (int i = 0; i < int(sizeof(R) / sizeof(run[0])); ++i) run[i] = of(c + i);
  }
}

template <class R, class A>
ISP_META_HD void load(R& run, const A* from) {
  run = *reinterpret_cast<const R*>(from);
}

template <class R, class A>
ISP_META_HD void store(const R& run, A* to) {
  *reinterpret_cast<R*>(to) = run;
}

// Of a block's neighbor k, the first pixel's distance from the block's; 0 but for positions.
template <class R>
ISP_META_HD void step(R& run, Grid grid, int k, int c) {
  fill(run, c, [&](int one) {
    return grid.cell * (one < kFeatures ? 0 : one == kFeatures ? offset_y(k) : offset_x(k));
  });
}

// u_k: centers around a block, relative to its middle pixel; 0 where none is.
template <class R, class A>
ISP_META_HD void centers_around(const A* centers, const R& origin, Grid grid, int by, int bx, int c,
                                R* u) {
  ISP_META_UNROLL_NEIGHBORS
  for (int k = 0; k < kNeighbors; ++k) {
    u[k] = R{};
    const int cy = by + offset_y(k), cx = bx + offset_x(k);
    if (!grid.exists(cy, cx)) continue;
    R place;
    step(place, grid, k, c);
    load(u[k], centers + (int64_t(cy) * grid.cols() + cx) * kChannels + c);
    u[k] += place - origin;
  }
}

// v_k: (dL/du) / D of the same cells.
template <class R, class A>
ISP_META_HD void slopes_around(const A* slopes, Grid grid, int by, int bx, int c, R* v) {
  ISP_META_UNROLL_NEIGHBORS
  for (int k = 0; k < kNeighbors; ++k) {
    v[k] = R{};
    const int cy = by + offset_y(k), cx = bx + offset_x(k);
    if (grid.exists(cy, cx)) load(v[k], slopes + (int64_t(cy) * grid.cols() + cx) * kChannels + c);
  }
}

// Calls run(place, n) for the blocks around a cell, in order; it is their neighbor n.
template <class F>
ISP_META_HD void for_blocks(Grid grid, int cy, int cx, const F& run) {
  for (int by = cy > 0 ? cy - 1 : 0; by <= cy + 1 && by < grid.rows(); ++by) {
    for (int bx = cx > 0 ? cx - 1 : 0; bx <= cx + 1 && bx < grid.cols(); ++bx) {
      run(int64_t(by) * grid.cols() + bx, neighbor(cy - by, cx - bx));
    }
  }
}

// u of a cell; 0 where nothing belongs to it, as `aggregate` has it.
template <class R, class A>
ISP_META_HD void gather_center(const A* records, Grid grid, int cy, int cx, int c, A* center) {
  R sum{};
  A mass{};
  for_blocks(grid, cy, cx, [&](int64_t at, int n) {
    const A* record = records + at * kRecord;
    R origin, sums, place;
    load(origin, record + kAtOrigin + c);
    load(sums, record + kAtN + n * kChannels + c);
    step(place, grid, n, c);
    sum += sums + record[kAtD + n] * (origin - place);
    mass += record[kAtD + n];
  });
  store(mass == A(0) ? R{} : R(sum / mass), center + c);
}

// A block's share of L, by channels. Leaves e in the place of N.
template <class R, class A>
ISP_META_HD void resolve(A* record, const A* centers, Grid grid, const R& weight, int by, int bx,
                         int c, R& share) {
  R origin, u[kNeighbors];
  load(origin, record + kAtOrigin + c);
  centers_around(centers, origin, grid, by, bx, c, u);
  load(share, record + kAtF + c);
  ISP_META_UNROLL_NEIGHBORS
  for (int k = 0; k < kNeighbors; ++k) {
    R sums, e;
    load(sums, record + kAtN + k * kChannels + c);
    e = -sums;
    ISP_META_UNROLL_NEIGHBORS
    for (int l = 0; l < kNeighbors; ++l) e += record[at_m_any(k, l)] * u[l];
    share += u[k] * (e - sums);
    store(e, record + kAtN + k * kChannels + c);
  }
  share *= weight;
}

// (dL/du) / D of a cell: by it, a pixel that is closer to the cell moves L, as its distance from u.
template <class R, class A>
ISP_META_HD void gather_slope(const A* records, Grid grid, const R& weight, int cy, int cx, int c,
                              A* slope) {
  R sum{};
  A mass{};
  for_blocks(grid, cy, cx, [&](int64_t at, int n) {
    R e;
    load(e, records + at * kRecord + kAtN + n * kChannels + c);
    sum += e;
    mass += records[at * kRecord + kAtD + n];
  });
  store(mass == A(0) ? R{} : R(weight * sum * (A(2) / mass)), slope + c);
}

// Eq. 3, from the candidates of the blocks around a cell; see argmax_pool.h.
template <class A>
ISP_META_HD int64_t gather_index(const Candidate<A>* candidates, Grid grid, int cy, int cx) {
  Candidate<A> best{-1, A(0)};
  for_blocks(grid, cy, cx, [&](int64_t at, int n) {
    const Candidate<A> one = candidates[at * kNeighbors + n];
    if (one.value > best.value || (one.value == best.value && one.index < best.index)) best = one;
  });
  return best.index;
}

// The slopes by q of all pixels of a block are affine in q and f:
//
//     dL/dq_k = sum over l of a_kl q_l + sum over c of b_kc f_c - h_k
//     a_kl = sum over c of 2 w_c u_kc u_lc    b_kc = v_kc - 2 w_c u_kc    h_k = sum of u_kc v_kc
//
// Terms equal for all k are left out, for they vanish in the softmax.
constexpr int kPairs = kAtF - kAtM;
template <class A>
struct Slopes {
  alignas(32) A a_h[kPairs + kNeighbors + 2];  // rounded up to whole vectors
  A b[kNeighbors * kChannels];

  ISP_META_HD A a(int k, int l) const { return a_h[at_m_any(k, l) - kAtM]; }
  ISP_META_HD A h(int k) const { return a_h[kPairs + k]; }
};

// Blocks whose shares of the loss a GPU adds before it writes them down.
constexpr int kBlocksPerShare = 32;

const char* launch_superpixel_loss(const Launch& on, const SuperpixelLossTensors& of);
const char* launch_superpixel_loss_backward(const Launch& on, const SuperpixelLossTensors& of);

}  // namespace isp_meta

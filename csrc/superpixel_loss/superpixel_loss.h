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

#include <type_traits>

#include "associate/associate.h"
#include "dtype.h"
#include "grid.h"
#include "number.h"

namespace isp_meta {

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

template <class A>
struct Weights {
  A srgb, raw, position;

  ISP_META_HD A of(int c) const { return c < kColors ? srgb : c < kFeatures ? raw : position; }
};

// Everything one call works on, whatever its element type; tensors are contiguous.
struct SuperpixelLossTensors {
  const void* logits;      // (B, 9, H, W)
  const void *srgb, *raw;  // (B, 3, H, W), in float where logits are narrower
  int64_t batch;
  Grid grid;
  Weights<double> weights;
  void* centers = nullptr;     // (B, h, w, kChannels); positions relative to the cell's first pixel
  void* slopes = nullptr;      // as centers: (dL/du) / D
  void* records = nullptr;     // (B, h, w, kRecord)
  double* shares = nullptr;    // of the loss: shares_of()
  void* loss = nullptr;        // (1)
  const void* grad = nullptr;  // (1)
  void* grad_logits = nullptr;  // (B, 9, H, W)
};

template <class T, class A = AccumulateType<T>>
struct SuperpixelLoss {
  const T* logits;
  const A *srgb, *raw;
  Grid grid;
  Weights<A> weights;
  A *centers, *slopes, *records;
  double* shares;
  A* loss;
  const A* grad;
  T* grad_logits;

  explicit SuperpixelLoss(const SuperpixelLossTensors& of)
      : logits(static_cast<const T*>(of.logits)),
        srgb(static_cast<const A*>(of.srgb)),
        raw(static_cast<const A*>(of.raw)),
        grid(of.grid),
        weights{A(of.weights.srgb), A(of.weights.raw), A(of.weights.position)},
        centers(static_cast<A*>(of.centers)),
        slopes(static_cast<A*>(of.slopes)),
        records(static_cast<A*>(of.records)),
        shares(of.shares),
        loss(static_cast<A*>(of.loss)),
        grad(static_cast<const A*>(of.grad)),
        grad_logits(static_cast<T*>(of.grad_logits)) {}

  ISP_META_HD const A* plane_of(int64_t b, int c) const {
    return (c < kColors ? srgb : raw) + (b * kColors + c % kColors) * grid.pixels();
  }
  ISP_META_HD int64_t cell_at(int64_t b, int cy, int cx) const {
    return b * grid.cells() + grid.at(cy, cx);
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
  if (c < kFeatures) return of.plane_of(b, c)[int64_t(y) * of.grid.width + x];
  return c == kFeatures ? A(y - of.grid.begin(by)) : A(x - of.grid.begin(bx));
}

// The functions below work on a run of channels from c on: R is one channel on a GPU, a vector of
// them on the CPU.
template <class R, class F>
ISP_META_HD R run_of(int c, const F& of) {
  if constexpr (std::is_arithmetic_v<R>) {
    return of(c);
  } else {
    R run{};
    for (int i = 0; i < int(sizeof(R) / sizeof(run[0])); ++i) run[i] = of(c + i);
    return run;
  }
}

template <class R>
ISP_META_HD R load_run(const Element<R>* from) {
  if constexpr (std::is_arithmetic_v<R>) {
    return *from;
  } else {
    R run;
    __builtin_memcpy(&run, from, sizeof(R));
    return run;
  }
}

template <class R>
ISP_META_HD void store_run(Element<R>* to, const R& run) {
  if constexpr (std::is_arithmetic_v<R>) {
    *to = run;
  } else {
    __builtin_memcpy(to, &run, sizeof(R));
  }
}

// Of a block's neighbor k, the first pixel's distance from the block's; 0 but for positions.
template <class R>
ISP_META_HD R step(Grid grid, int k, int c) {
  return run_of<R>(c, [&](int one) {
    return grid.cell * (one < kFeatures ? 0 : one == kFeatures ? offset_y(k) : offset_x(k));
  });
}

// u_k: centers around a block, relative to its middle pixel; 0 where none is.
template <class R>
ISP_META_HD void centers_around(const Element<R>* centers, const R& origin, Grid grid, int by,
                                int bx, int c, R* u) {
  ISP_META_UNROLL
  for (int k = 0; k < kNeighbors; ++k) {
    u[k] = R{};
    const int cy = by + offset_y(k), cx = bx + offset_x(k);
    if (!grid.exists(cy, cx)) continue;
    u[k] = load_run<R>(centers + grid.at(cy, cx) * kChannels + c) + (step<R>(grid, k, c) - origin);
  }
}

// v_k: (dL/du) / D of the same cells.
template <class R>
ISP_META_HD void slopes_around(const Element<R>* slopes, Grid grid, int by, int bx, int c, R* v) {
  ISP_META_UNROLL
  for (int k = 0; k < kNeighbors; ++k) {
    const int cy = by + offset_y(k), cx = bx + offset_x(k);
    v[k] = grid.exists(cy, cx) ? load_run<R>(slopes + grid.at(cy, cx) * kChannels + c) : R{};
  }
}

// u of a cell; 0 where nothing belongs to it, as `aggregate` has it.
template <class R>
ISP_META_HD R gather_center(const Element<R>* records, Grid grid, int cy, int cx, int c) {
  R sum{};
  Element<R> mass{};
  for_blocks(grid, cy, cx, [&](int by, int bx, int n) {
    const auto* record = records + grid.at(by, bx) * kRecord;
    const R middle = load_run<R>(record + kAtOrigin + c) - step<R>(grid, n, c);
    sum += load_run<R>(record + kAtN + n * kChannels + c) + record[kAtD + n] * middle;
    mass += record[kAtD + n];
  });
  return mass == 0 ? R{} : sum / mass;
}

// A block's share of L, by channels. Leaves e in the place of N.
template <class R>
ISP_META_HD R resolve(Element<R>* record, const Element<R>* centers, Grid grid, const R& weight,
                      int by, int bx, int c) {
  R u[kNeighbors];
  centers_around(centers, load_run<R>(record + kAtOrigin + c), grid, by, bx, c, u);
  R share = load_run<R>(record + kAtF + c);
  ISP_META_UNROLL
  for (int k = 0; k < kNeighbors; ++k) {
    auto* const at = record + kAtN + k * kChannels + c;
    const R sums = load_run<R>(at);
    R e = -sums;
    ISP_META_UNROLL
    for (int l = 0; l < kNeighbors; ++l) e += record[at_m_any(k, l)] * u[l];
    share += u[k] * (e - sums);
    store_run(at, e);
  }
  return share * weight;
}

// (dL/du) / D of a cell: by it, a pixel that is closer to the cell moves L, as its distance from u.
template <class R>
ISP_META_HD R gather_slope(const Element<R>* records, Grid grid, const R& weight, int cy, int cx,
                           int c) {
  R sum{};
  Element<R> mass{};
  for_blocks(grid, cy, cx, [&](int by, int bx, int n) {
    const auto* record = records + grid.at(by, bx) * kRecord;
    sum += load_run<R>(record + kAtN + n * kChannels + c);
    mass += record[kAtD + n];
  });
  return mass == 0 ? R{} : weight * sum * (2 / mass);
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
  ISP_META_HD A by_channel(int k, int c) const { return b[k * kChannels + c]; }
};

// dL/dz of a pixel, whose q(k) and f(c) they are; kGroup neighbors at a time, which share their
// reading. `grad` is what L itself counts for.
template <int kGroup, class S, class A, class Q, class F>
ISP_META_HD void logit_slopes(const S& slopes, Element<A> grad, const Q& q, const F& f, A* dz) {
  A mean{};
  ISP_META_UNROLL
  for (int k = 0; k < kNeighbors; k += kGroup) {
    A* dq = dz + k;
    for (int i = 0; i < kGroup; ++i) dq[i] = A{} - slopes.h(k + i);
    ISP_META_UNROLL
    for (int l = 0; l < kNeighbors; ++l) {
      const A value = q(l);
      for (int i = 0; i < kGroup; ++i) dq[i] += slopes.a(k + i, l) * value;
    }
    ISP_META_UNROLL
    for (int c = 0; c < kChannels; ++c) {
      const A value = f(c);
      for (int i = 0; i < kGroup; ++i) dq[i] += slopes.by_channel(k + i, c) * value;
    }
    for (int i = 0; i < kGroup; ++i) mean += q(k + i) * dq[i];
  }
  ISP_META_UNROLL
  for (int k = 0; k < kNeighbors; ++k) dz[k] = grad * q(k) * (dz[k] - mean);
}

// Shares of the loss that are written down: one a row of blocks, on a GPU one for kBlocksPerShare
// blocks of a row.
constexpr int kBlocksPerShare = 32;
inline int64_t shares_of(int64_t batch, Grid grid) {
  return batch * grid.rows() * ((grid.cols() - 1) / kBlocksPerShare + 1);
}

const char* launch_superpixel_loss(const Launch& on, const SuperpixelLossTensors& of);
const char* launch_superpixel_loss_backward(const Launch& on, const SuperpixelLossTensors& of);

}  // namespace isp_meta

ISP_META_EACH_ISA(
    // The first pass over the pixels, of rows of blocks [begin, end) of a batch.
    template <class T> void summarize(const SuperpixelLoss<T>& of, int64_t begin, int64_t end);
    // Centers of rows of cells.
    template <class T> void center(const SuperpixelLoss<T>& of, int64_t begin, int64_t end);
    // Shares of the loss of rows of blocks.
    template <class T> void compare(const SuperpixelLoss<T>& of, int64_t begin, int64_t end);
    // The loss's slopes by the centers of rows of cells.
    template <class T> void slope(const SuperpixelLoss<T>& of, int64_t begin, int64_t end);
    // The second pass, of rows of blocks: the loss's slopes by their logits.
    template <class T> void descend(const SuperpixelLoss<T>& of, int64_t begin, int64_t end);)

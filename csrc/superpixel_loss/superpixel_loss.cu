#include "launch.h"
#include "superpixel_loss/superpixel_loss.h"

namespace isp_meta {
namespace {

// A thread for each sum of a block, in whole warps.
constexpr int kSummarizeThreads = 160;
static_assert(kSums <= kSummarizeThreads);
constexpr int kDescendThreads = 64;

// Pixels in shared memory: q, f, and ones. An odd pitch puts its rows in different banks.
constexpr int kOnes = kNeighbors + kChannels;
constexpr int kPitch = kSummarizeThreads + 1;

struct Factors {
  int a, b;
};

// Rows whose products add up to a record's sum `s`.
__device__ inline Factors factors(int s) {
  if (s < kAtD) return {s / kChannels, kNeighbors + s % kChannels};
  if (s < kAtM) return {s - kAtD, kOnes};
  if (s >= kAtF) return {kNeighbors + s - kAtF, kNeighbors + s - kAtF};
  int k = 0;
  while (k + 1 < kNeighbors && s >= at_m(k + 1, k + 1)) ++k;
  return {k, k + s - at_m(k, k)};
}

// q and f of one pixel of a block.
template <class T, class A = AccumulateType<T>>
__device__ void load_pixel(const SuperpixelLoss<T>& of, Cell in, const A* origin, unsigned exists,
                           int y, int x, A* q, A* f) {
  const int64_t plane = of.grid.pixels(), pixel = int64_t(y) * of.grid.width + x;
  const T* logits = of.logits + in.batch * kNeighbors * plane + pixel;
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) q[n] = A(logits[n * plane]);
  softmax(q, exists);
  ISP_META_UNROLL
  for (int c = 0; c < kFeatures; ++c) f[c] = A(of.plane_of(in.batch, c)[pixel]) - origin[c];
  f[kFeatures] = A(y - of.grid.begin(in.y)) - origin[kFeatures];
  f[kFeatures + 1] = A(x - of.grid.begin(in.x)) - origin[kFeatures + 1];
}

// First pass, one group of threads a block of the picture: pixels side by side into shared memory,
// then one thread a sum, in the order of the pixels.
template <class T, class A = AccumulateType<T>>
__global__ void summarize_kernel(SuperpixelLoss<T> of) {
  __shared__ A rows[(kOnes + 1) * kPitch];
  __shared__ A origin_of[kChannels];
  const Grid grid = of.grid;
  const Cell in(grid, blockIdx.x);
  const int t = int(threadIdx.x), top = grid.begin(in.y), left = grid.begin(in.x);
  const int width = grid.end_x(in.x) - left;
  const int64_t count = int64_t(grid.end_y(in.y) - top) * width;
  const unsigned exists = grid.neighbors(in.y, in.x);
  A* record = of.records + int64_t(blockIdx.x) * kRecord;
  if (t < kChannels) {
    origin_of[t] = origin(of, in.batch, in.y, in.x, t);
    record[kAtOrigin + t] = origin_of[t];
  }
  const bool sums = t < kSums;
  const Factors pair = factors(sums ? t : 0);
  A sum = A(0);
  for (int64_t first = 0; first < count; first += kSummarizeThreads) {
    __syncthreads();
    if (first + t < count) {
      A q[kNeighbors], f[kChannels];
      const int64_t i = first + t;
      load_pixel(of, in, origin_of, exists, top + int(i / width), left + int(i % width), q, f);
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) rows[n * kPitch + t] = q[n];
      ISP_META_UNROLL
      for (int c = 0; c < kChannels; ++c) rows[(kNeighbors + c) * kPitch + t] = f[c];
      rows[kOnes * kPitch + t] = A(1);
    }
    __syncthreads();
    const int staged = int(count - first < kSummarizeThreads ? count - first : kSummarizeThreads);
    const A* a = rows + pair.a * kPitch;
    const A* b = rows + pair.b * kPitch;
    for (int p = 0; sums && p < staged; ++p) sum += a[p] * b[p];
  }
  if (sums) record[t] = sum;
}

// One thread a channel of a cell.
template <class T, class A = AccumulateType<T>>
__global__ void center_kernel(SuperpixelLoss<T> of, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const Cell in(of.grid, i / kChannels);
  const int64_t first = of.cell_at(in.batch, 0, 0);
  const int c = int(i % kChannels);
  of.centers[i] = gather_center<A>(of.records + first * kRecord, of.grid, in.y, in.x, c);
}

// Sum over a group of threads, by halves; thread 0 has it.
template <int kCount>
__device__ double add_up(double value, double* shared) {
  const int t = int(threadIdx.x);
  shared[t] = value;
  for (int half = kCount / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) shared[t] += shared[t + half];
  }
  return shared[0];
}

// One thread a channel of a block of the picture.
template <class T, class A = AccumulateType<T>>
__global__ void compare_kernel(SuperpixelLoss<T> of, int64_t count) {
  __shared__ double shared[kThreads];
  static_assert(kThreads == kBlocksPerShare * kChannels);
  const int64_t i = thread_index();
  A share = A(0);
  if (i < count) {
    const Cell in(of.grid, i / kChannels);
    const int c = int(i % kChannels);
    share = resolve(of.records + i / kChannels * kRecord,
                    of.centers + of.cell_at(in.batch, 0, 0) * kChannels, of.grid, of.weights.of(c),
                    in.y, in.x, c);
  }
  const double sum = add_up<kThreads>(double(share), shared);
  if (threadIdx.x == 0) of.shares[blockIdx.x] = sum;
}

template <class T, class A = AccumulateType<T>>
__global__ void add_shares_kernel(SuperpixelLoss<T> of, int64_t count) {
  __shared__ double shared[kThreads];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += of.shares[i];
  sum = add_up<kThreads>(sum, shared);
  if (threadIdx.x == 0) *of.loss = A(sum);
}

// One thread a channel of a cell.
template <class T>
__global__ void slope_kernel(SuperpixelLoss<T> of, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const Cell in(of.grid, i / kChannels);
  const int c = int(i % kChannels);
  of.slopes[i] = gather_slope(of.records + of.cell_at(in.batch, 0, 0) * kRecord, of.grid,
                              of.weights.of(c), in.y, in.x, c);
}

// What a block's pixels share in the second pass.
template <class A>
struct Descent {
  A origin[kChannels], u[kNeighbors * kChannels], v[kNeighbors * kChannels];
  Slopes<A> slopes;
};

// Second pass, one group of threads a block of the picture: first one thread a channel, then one a
// slope, then one a pixel.
template <class T, class A = AccumulateType<T>>
__global__ void descend_kernel(SuperpixelLoss<T> of) {
  __shared__ Descent<A> shared;
  const Grid grid = of.grid;
  const Cell in(grid, blockIdx.x);
  const int t = int(threadIdx.x);
  if (t < kChannels) {
    const int64_t first = of.cell_at(in.batch, 0, 0) * kChannels;
    const A middle = origin(of, in.batch, in.y, in.x, t);
    A u[kNeighbors], v[kNeighbors];
    centers_around(of.centers + first, middle, grid, in.y, in.x, t, u);
    slopes_around(of.slopes + first, grid, in.y, in.x, t, v);
    shared.origin[t] = middle;
    ISP_META_UNROLL
    for (int k = 0; k < kNeighbors; ++k) {
      shared.u[k * kChannels + t] = u[k];
      shared.v[k * kChannels + t] = v[k];
      shared.slopes.b[k * kChannels + t] = v[k] - A(2) * of.weights.of(t) * u[k];
    }
  }
  __syncthreads();
  for (int s = t; s < kPairs + kNeighbors; s += kDescendThreads) {
    const bool pair = s < kPairs;
    const Factors by = pair ? factors(kAtM + s) : Factors{s - kPairs, s - kPairs};
    const A* a = shared.u + by.a * kChannels;
    const A* b = (pair ? shared.u : shared.v) + by.b * kChannels;
    A sum = A(0);
    for (int c = 0; c < kChannels; ++c)
      sum += (pair ? A(2) * of.weights.of(c) : A(1)) * a[c] * b[c];
    shared.slopes.a_h[s] = sum;
  }
  const int top = grid.begin(in.y), left = grid.begin(in.x), width = grid.end_x(in.x) - left;
  const int64_t count = int64_t(grid.end_y(in.y) - top) * width;
  const unsigned exists = grid.neighbors(in.y, in.x);
  const A grad = *of.grad;
  for (int64_t first = 0; first < count; first += kDescendThreads) {
    // In every round, so that no slope is kept in a register of its own.
    __syncthreads();
    const int64_t i = first + t;
    if (i >= count) continue;
    const int y = top + int(i / width), x = left + int(i % width);
    A q[kNeighbors], f[kChannels], dz[kNeighbors];
    load_pixel(of, in, shared.origin, exists, y, x, q, f);
    logit_slopes<1>(
        shared.slopes, grad, [&](int k) { return q[k]; }, [&](int c) { return f[c]; }, dz);
    T* to = of.grad_logits + in.batch * kNeighbors * grid.pixels() + int64_t(y) * grid.width + x;
    ISP_META_UNROLL
    for (int k = 0; k < kNeighbors; ++k) to[k * grid.pixels()] = T(dz[k]);
  }
}

}  // namespace

const char* launch_superpixel_loss(const Launch& on, const SuperpixelLossTensors& tensors) {
  const int64_t blocks_of_picture = tensors.batch * tensors.grid.cells();
  const int64_t channels = blocks_of_picture * kChannels;
  // kThreads a block of the picture asks for as many groups of threads as there are blocks.
  const char* error = launch(
      on, blocks_of_picture * kThreads, [&](auto zero, unsigned blocks, cudaStream_t stream) {
        const SuperpixelLoss<decltype(zero)> of(tensors);
        ISP_META_LAUNCH(summarize_kernel, blocks, kSummarizeThreads, stream, of);
      });
  if (error) return error;
  error = launch(on, channels, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    const SuperpixelLoss<decltype(zero)> of(tensors);
    ISP_META_LAUNCH(center_kernel, blocks, kThreads, stream, of, channels);
    ISP_META_LAUNCH(compare_kernel, blocks, kThreads, stream, of, channels);
    ISP_META_LAUNCH(slope_kernel, blocks, kThreads, stream, of, channels);
  });
  if (error) return error;
  const int64_t shares = (blocks_of_picture + kBlocksPerShare - 1) / kBlocksPerShare;
  return launch(on, kThreads, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    const SuperpixelLoss<decltype(zero)> of(tensors);
    ISP_META_LAUNCH(add_shares_kernel, blocks, kThreads, stream, of, shares);
  });
}

const char* launch_superpixel_loss_backward(const Launch& on,
                                            const SuperpixelLossTensors& tensors) {
  const int64_t blocks_of_picture = tensors.batch * tensors.grid.cells();
  return launch(on, blocks_of_picture * kThreads,
                [&](auto zero, unsigned blocks, cudaStream_t stream) {
                  const SuperpixelLoss<decltype(zero)> of(tensors);
                  ISP_META_LAUNCH(descend_kernel, blocks, kDescendThreads, stream, of);
                });
}

}  // namespace isp_meta

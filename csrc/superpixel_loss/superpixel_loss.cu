#include "superpixel_loss/superpixel_loss.h"
#include "warp.h"

namespace isp_meta {
namespace {

// Rows in shared memory: q, f, and ones.
constexpr int kOnes = kNeighbors + kChannels;
// All sums of products, but those of f^2, as tiles: of q with f and ones, then of q with q, the
// upper triangle of them. Two threads share the pixels of a tile.
constexpr int kSide = kNeighbors / kTile, kHalves = 2;
constexpr int kTilesOfN = kSide * kSide, kTilesOfRecord = kTilesOfN + kSide * (kSide + 1) / 2;
static_assert(kTilesOfRecord * kHalves <= kWarp && kOnes + 1 == kNeighbors + kSide * kTile);

struct SumTile {
  int a, b;  // the first of its rows

  __device__ explicit SumTile(int tile)
      : a(tile / kSide * kTile), b(kNeighbors + tile % kSide * kTile) {
    if (tile < kTilesOfN) return;
    int i = 0, rest = tile - kTilesOfN;
    while (rest >= kSide - i) rest -= kSide - i++;
    a = i * kTile, b = (i + rest) * kTile;
  }

  // Place of sum i in a record, or -1 where its mirror image has one.
  __device__ int place(int i) const {
    const int k = a + i / kTile, row = b + i % kTile;
    if (row < kNeighbors) return k <= row ? at_m(k, row) : -1;
    return row == kOnes ? kAtD + k : kAtN + k * kChannels + row - kNeighbors;
  }
};

// q and f of one pixel of a block.
template <class T, class A = AccumulateType<T>>
__device__ void load_pixel(const SuperpixelLoss<T>& of, const Cell& in, const A* origin,
                           unsigned exists, const LaneWalk& walk, A* q, A* f) {
  const Grid& grid = of.grid;
  const int64_t plane = grid.pixels();
  const int64_t pixel = int64_t(grid.begin(in.y) + walk.y) * grid.width + grid.begin(in.x) + walk.x;
  const T* logits = of.logits + in.batch * kNeighbors * plane + pixel;
  const A* srgb = of.srgb + in.batch * kColors * plane + pixel;
  const A* raw = of.raw + in.batch * kColors * plane + pixel;
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) q[n] = A(logits[n * plane]);
  ISP_META_UNROLL
  for (int c = 0; c < kColors; ++c) {
    f[c] = srgb[c * plane] - origin[c];
    f[kColors + c] = raw[c * plane] - origin[kColors + c];
  }
  f[kFeatures] = A(walk.y) - origin[kFeatures];
  f[kFeatures + 1] = A(walk.x) - origin[kFeatures + 1];
  with_neighbors(exists, [&](unsigned these) { softmax(q, these); });
}

// First pass, one warp a block of the picture: pixels side by side into shared memory, then every
// thread 3 by 3 sums over half of them.
template <class T, class A = AccumulateType<T>>
__global__ void summarize_kernel(SuperpixelLoss<T> of, int64_t batch) {
  __shared__ A rows[(kOnes + 1) * kPitch];
  __shared__ A origin_of[kChannels];
  const Grid grid = of.grid;
  const Cell in = cell_in_row(grid, int(blockIdx.x));
  if (in.batch >= batch) return;
  const int t = int(threadIdx.x), half = t / kTilesOfRecord;
  const int64_t count = grid.pixels_of(in.y, in.x);
  const unsigned exists = grid.neighbors(in.y, in.x);
  A* record = of.records + in.in_batch(grid) * kRecord;
  if (t < kChannels) {
    origin_of[t] = origin(of, in.batch, in.y, in.x, t);
    record[kAtOrigin + t] = origin_of[t];
  }
  const SumTile tile(t % kTilesOfRecord);
  A sums[kTileSums] = {}, squares[kChannels] = {};
  LaneWalk walk(grid.end_x(in.x) - grid.begin(in.x));
  for (int64_t done = 0; done < count; done += kStaged) {
    const int here = int(count - done < kStaged ? count - done : kStaged);
    __syncwarp();
    for (int p = t; p < here; p += kWarp, walk.step()) {
      A q[kNeighbors], f[kChannels];
      load_pixel(of, in, origin_of, exists, walk, q, f);
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) rows[n * kPitch + p] = q[n];
      ISP_META_UNROLL
      for (int c = 0; c < kChannels; ++c) {
        rows[(kNeighbors + c) * kPitch + p] = f[c];
        squares[c] += f[c] * f[c];
      }
      rows[kOnes * kPitch + p] = A(1);
    }
    __syncwarp();
    add_products<kHalves>(rows + tile.a * kPitch, rows + tile.b * kPitch, half, here, sums);
  }
  // The shares of all sums side by side: of tiles, then of squares, those of a thread each.
  constexpr int of_squares = kTilesOfRecord * kHalves * kTileSums;
  static_assert(of_squares + kChannels * (kWarp + 1) <= (kOnes + 1) * kPitch);
  __syncwarp();
  ISP_META_UNROLL
  for (int i = 0; i < kTileSums; ++i) {
    if (half < kHalves) rows[t * kTileSums + i] = sums[i];
  }
  ISP_META_UNROLL
  for (int c = 0; c < kChannels; ++c) rows[of_squares + c * (kWarp + 1) + t] = squares[c];
  __syncwarp();
  for (int i = t; i < kTilesOfRecord * kTileSums; i += kWarp) {
    const int place = SumTile(i / kTileSums).place(i % kTileSums);
    if (place >= 0) record[place] = rows[i] + rows[kTilesOfRecord * kTileSums + i];
  }
  if (t < kChannels) {
    A sum = A(0);
    for (int i = 0; i < kWarp; ++i) sum += rows[of_squares + t * (kWarp + 1) + i];
    record[kAtF + t] = sum;
  }
}

// A cell of a row of groups, or its block, and one of its channels, for a thread each.
struct ChannelOfCell {
  Cell cell;
  int c;

  __device__ explicit ChannelOfCell(Grid grid)
      : cell(cell_in_row(grid, int(thread_index() / kChannels))),
        c(int(thread_index() % kChannels)) {}

  __device__ bool exists(Grid grid, int64_t batch) const {
    return cell.batch < batch && cell.x < grid.cols();
  }
  // Among centers or slopes.
  __device__ int64_t at(Grid grid) const { return cell.in_batch(grid) * kChannels + c; }
};

template <class T, class A = AccumulateType<T>>
__global__ void center_kernel(SuperpixelLoss<T> of, int64_t batch) {
  const ChannelOfCell in(of.grid);
  if (!in.exists(of.grid, batch)) return;
  const A* records = of.records + of.cell_at(in.cell.batch, 0, 0) * kRecord;
  of.centers[in.at(of.grid)] = gather_center<A>(records, of.grid, in.cell.y, in.cell.x, in.c);
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

template <class T, class A = AccumulateType<T>>
__global__ void compare_kernel(SuperpixelLoss<T> of, int64_t batch) {
  __shared__ double shared[kThreads];
  static_assert(kThreads == kBlocksPerShare * kChannels);
  const Grid grid = of.grid;
  const ChannelOfCell in(grid);
  if (in.cell.batch >= batch) return;
  A share = A(0);
  if (in.exists(grid, batch)) {
    share = resolve(of.records + in.cell.in_batch(grid) * kRecord,
                    of.centers + of.cell_at(in.cell.batch, 0, 0) * kChannels, grid,
                    of.weights.of(in.c), in.cell.y, in.cell.x, in.c);
  }
  const double sum = add_up<kThreads>(double(share), shared);
  if (threadIdx.x == 0) of.shares[int64_t(row_of_groups()) * gridDim.x + blockIdx.x] = sum;
}

template <class T, class A = AccumulateType<T>>
__global__ void add_shares_kernel(SuperpixelLoss<T> of, int64_t count) {
  __shared__ double shared[kThreads];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += of.shares[i];
  sum = add_up<kThreads>(sum, shared);
  if (threadIdx.x == 0) *of.loss = A(sum);
}

template <class T>
__global__ void slope_kernel(SuperpixelLoss<T> of, int64_t batch) {
  const ChannelOfCell in(of.grid);
  if (!in.exists(of.grid, batch)) return;
  of.slopes[in.at(of.grid)] =
      gather_slope(of.records + of.cell_at(in.cell.batch, 0, 0) * kRecord, of.grid,
                   of.weights.of(in.c), in.cell.y, in.cell.x, in.c);
}

// `Slopes` of one neighbor side by side, so that four numbers are read at once.
template <class A>
struct SlopeRows {
  alignas(16) A rows[kNeighbors][kNeighbors + kChannels + 3];

  ISP_META_HD A a(int k, int l) const { return rows[k][l]; }
  ISP_META_HD A h(int k) const { return rows[k][kNeighbors]; }
  ISP_META_HD A by_channel(int k, int c) const { return rows[k][kNeighbors + 1 + c]; }
};

// What a block's pixels share in the second pass.
template <class A>
struct Descent {
  SlopeRows<A> slopes;
  A origin[kChannels], u[kNeighbors * kChannels], v[kNeighbors * kChannels];
};

// Second pass, one warp a block of the picture: first one thread a channel, then one a slope, then
// one a pixel.
template <class T, class A = AccumulateType<T>>
__global__ void descend_kernel(SuperpixelLoss<T> of, int64_t batch) {
  __shared__ Descent<A> shared;
  const Grid grid = of.grid;
  const Cell in = cell_in_row(grid, int(blockIdx.x));
  if (in.batch >= batch) return;
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
      shared.slopes.rows[k][kNeighbors + 1 + t] = v[k] - A(2) * of.weights.of(t) * u[k];
    }
  }
  __syncwarp();
  // a of all pairs, and h, which is the last of each row.
  for (int s = t; s < kNeighbors * (kNeighbors + 1); s += kWarp) {
    const int k = s / (kNeighbors + 1), l = s % (kNeighbors + 1);
    const bool pair = l < kNeighbors;
    const A* a = shared.u + k * kChannels;
    const A* b = pair ? shared.u + l * kChannels : shared.v + k * kChannels;
    A sum = A(0);
    for (int c = 0; c < kChannels; ++c)
      sum += (pair ? A(2) * of.weights.of(c) : A(1)) * a[c] * b[c];
    shared.slopes.rows[k][l] = sum;
  }
  const int64_t count = grid.pixels_of(in.y, in.x);
  const unsigned exists = grid.neighbors(in.y, in.x);
  const A grad = *of.grad;
  LaneWalk walk(grid.end_x(in.x) - grid.begin(in.x));
  for (int64_t p = t; p - t < count; p += kWarp, walk.step()) {
    // In every round, so that no slope is kept in a register of its own.
    __syncwarp();
    if (p >= count) continue;
    A q[kNeighbors], f[kChannels], dz[kNeighbors];
    load_pixel(of, in, shared.origin, exists, walk, q, f);
    logit_slopes<1>(
        shared.slopes, grad, [&](int k) { return q[k]; }, [&](int c) { return f[c]; }, dz);
    T* to = of.grad_logits + in.batch * kNeighbors * grid.pixels() +
            int64_t(grid.begin(in.y) + walk.y) * grid.width + grid.begin(in.x) + walk.x;
    ISP_META_UNROLL
    for (int k = 0; k < kNeighbors; ++k) to[k * grid.pixels()] = T(dz[k]);
  }
}

}  // namespace

const char* launch_superpixel_loss(const Launch& on, const SuperpixelLossTensors& tensors) {
  const Grid grid = tensors.grid;
  const int64_t batch = tensors.batch, rows = batch * grid.rows();
  const char* error =
      launch(on, grid.cols(), rows, [&](auto zero, dim3 blocks, cudaStream_t stream) {
        const SuperpixelLoss<decltype(zero)> of(tensors);
        ISP_META_LAUNCH(summarize_kernel, blocks, kWarp, 0, stream, of, batch);
      });
  if (error) return error;
  const int64_t across = int64_t(grid.cols()) * kChannels;
  error = launch_threads(on, across, rows, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    const SuperpixelLoss<decltype(zero)> of(tensors);
    ISP_META_LAUNCH(center_kernel, blocks, kThreads, 0, stream, of, batch);
    ISP_META_LAUNCH(compare_kernel, blocks, kThreads, 0, stream, of, batch);
    ISP_META_LAUNCH(slope_kernel, blocks, kThreads, 0, stream, of, batch);
  });
  if (error) return error;
  return launch(on, 1, 1, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    const SuperpixelLoss<decltype(zero)> of(tensors);
    ISP_META_LAUNCH(add_shares_kernel, blocks, kThreads, 0, stream, of, shares_of(batch, grid));
  });
}

const char* launch_superpixel_loss_backward(const Launch& on,
                                            const SuperpixelLossTensors& tensors) {
  const Grid grid = tensors.grid;
  const int64_t rows = tensors.batch * grid.rows();
  return launch(on, grid.cols(), rows, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    const SuperpixelLoss<decltype(zero)> of(tensors);
    ISP_META_LAUNCH(descend_kernel, blocks, kWarp, 0, stream, of, tensors.batch);
  });
}

}  // namespace isp_meta

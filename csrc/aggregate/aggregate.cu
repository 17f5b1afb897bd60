#include "aggregate/aggregate.h"
#include "warp.h"

namespace isp_meta {
namespace {

// Channels that a warp sums at once, tiles of neighbors and channels, and threads that share the
// pixels of one.
constexpr int kGroup = 9, kTiles = kNeighbors * kGroup / kTileSums, kThirds = 3;
constexpr int kProducts = kNeighbors * kGroup;
static_assert(kTiles * kThirds <= kWarp);
static_assert(kProducts * kThirds <= (kNeighbors + kGroup) * kPitch);

// One warp a block of the picture: pixels into shared memory, then every thread 3 by 3 sums over a
// third of them. blocks[((batch * cells + block) * 9 + n) * (channels + 1) + c].
template <class T, class A = AccumulateType<T>>
__global__ void sum_blocks_kernel(const T* __restrict__ features, const T* __restrict__ association,
                                  A* __restrict__ blocks, Grid grid, int64_t batch, int channels) {
  __shared__ A staged[(kNeighbors + kGroup) * kPitch];
  const Cell in = cell_in_row(grid, int(blockIdx.x));
  if (in.batch >= batch) return;
  const int t = int(threadIdx.x), share = t / kTiles;
  const int n = t % kTiles / (kGroup / kTile) * kTile, c = t % (kGroup / kTile) * kTile;
  const int64_t plane = grid.pixels(), count = grid.pixels_of(in.y, in.x);
  const int64_t corner = int64_t(grid.begin(in.y)) * grid.width + grid.begin(in.x);
  const T* q = association + in.batch * kNeighbors * plane + corner;
  A* to = blocks + in.in_batch(grid) * kNeighbors * (channels + 1);
  for (int first = 0; first <= channels; first += kGroup) {
    const T* f = features + (in.batch * channels + first) * plane + corner;
    A sums[kTileSums] = {};
    LaneWalk walk(grid.end_x(in.x) - grid.begin(in.x));
    for (int64_t done = 0; done < count; done += kStaged) {
      const int here = int(count - done < kStaged ? count - done : kStaged);
      __syncwarp();
      for (int p = t; p < here; p += kWarp, walk.step()) {
        const int64_t pixel = int64_t(walk.y) * grid.width + walk.x;
        ISP_META_UNROLL
        for (int i = 0; i < kNeighbors; ++i) staged[i * kPitch + p] = A(q[i * plane + pixel]);
        ISP_META_UNROLL
        for (int i = 0; i < kGroup; ++i) {
          A value = A(first + i == channels);  // the mass
          if (first + i < channels) value = A(f[i * plane + pixel]);
          staged[(kNeighbors + i) * kPitch + p] = value;
        }
      }
      __syncwarp();
      add_products<kThirds>(staged + n * kPitch, staged + (kNeighbors + c) * kPitch, share, here,
                            sums);
    }
    __syncwarp();
    ISP_META_UNROLL
    for (int i = 0; i < kTileSums; ++i) {
      const int at = (n + i / kTile) * kGroup + c + i % kTile;
      if (share < kThirds) staged[share * kProducts + at] = sums[i];
    }
    __syncwarp();
    for (int i = t; i < kProducts; i += kWarp) {
      const int channel = first + i % kGroup;
      if (channel > channels) continue;
      A sum = A(0);
      ISP_META_UNROLL
      for (int j = 0; j < kThirds; ++j) sum += staged[j * kProducts + i];
      to[i / kGroup * (channels + 1) + channel] = sum;
    }
  }
}

// One thread a cell and channel: the nine blocks around it, in the order of the neighbors.
template <class A>
__global__ void gather_blocks_kernel(const A* __restrict__ blocks, A* __restrict__ sums, Grid grid,
                                     int64_t batch, int channels) {
  const unsigned i = unsigned(thread_index()), c = i % (channels + 1u);
  const Cell cell = cell_in_row(grid, int(i / (channels + 1u)));
  if (cell.x >= grid.cols() || cell.batch >= batch) return;
  A sum = A(0);
  for_blocks(grid, cell.y, cell.x, [&](int by, int bx, int n) {
    const int64_t block = cell.batch * grid.cells() + grid.at(by, bx);
    sum += blocks[(block * kNeighbors + n) * (channels + 1) + c];
  });
  sums[(cell.batch * (channels + 1) + c) * grid.cells() + cell.at] = sum;
}

template <class T, class A = AccumulateType<T>>
__global__ void distribute_kernel(const A* __restrict__ centers, const T* __restrict__ association,
                                  T* __restrict__ pixels, Grid grid, int64_t batch, int channels) {
  const Pixel pixel(grid);
  if (!pixel.exists(grid, batch)) return;
  const int64_t plane = grid.pixels(), at = pixel.at(grid);
  const int by = pixel.by(grid), bx = pixel.bx(grid);
  association += pixel.batch * kNeighbors * plane + at;
  centers += pixel.batch * channels * grid.cells() + grid.at(by, bx);
  pixels += pixel.batch * channels * plane + at;
  with_neighbors(grid.neighbors(by, bx), [&](unsigned exists) {
    A q[kNeighbors];
    ISP_META_UNROLL
    for (int n = 0; n < kNeighbors; ++n) {
      q[n] = exists >> n & 1 ? A(association[n * plane]) : A(0);
    }
    for (int c = 0; c < channels; ++c, centers += grid.cells(), pixels += plane) {
      A sum = A(0);
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) {
        if (exists >> n & 1) sum += q[n] * centers[offset_y(n) * grid.cols() + offset_x(n)];
      }
      *pixels = T(sum);
    }
  });
}

template <class T, class A = AccumulateType<T>>
__global__ void correlate_kernel(const T* __restrict__ features, const A* __restrict__ centers,
                                 T* __restrict__ association, Grid grid, int64_t batch,
                                 int channels) {
  const Pixel pixel(grid);
  if (!pixel.exists(grid, batch)) return;
  const int64_t plane = grid.pixels(), at = pixel.at(grid);
  const int by = pixel.by(grid), bx = pixel.bx(grid);
  features += pixel.batch * channels * plane + at;
  centers += pixel.batch * (channels + 1) * grid.cells() + grid.at(by, bx);
  association += pixel.batch * kNeighbors * plane + at;
  A sums[kNeighbors] = {};
  with_neighbors(grid.neighbors(by, bx), [&](unsigned exists) {
    for (int c = 0; c <= channels; ++c, features += plane, centers += grid.cells()) {
      const A f = c < channels ? A(*features) : A(1);
      ISP_META_UNROLL
      for (int n = 0; n < kNeighbors; ++n) {
        if (exists >> n & 1) sums[n] += f * centers[offset_y(n) * grid.cols() + offset_x(n)];
      }
    }
  });
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) association[n * plane] = T(sums[n]);
}

}  // namespace

const char* launch_accumulate(const Launch& on, const void* features, const void* association,
                              void* blocks, void* sums, int64_t batch, int channels, Grid grid) {
  const int64_t across = int64_t(grid.cols()) * (channels + 1), rows = batch * grid.rows();
  if (across > INT32_MAX) return "the tensor is too large for one launch";
  const char* error =
      launch(on, grid.cols(), rows, [&](auto zero, dim3 count, cudaStream_t stream) {
        using T = decltype(zero);
        ISP_META_LAUNCH(sum_blocks_kernel<T>, count, kWarp, 0, stream,
                        static_cast<const T*>(features), static_cast<const T*>(association),
                        static_cast<AccumulateType<T>*>(blocks), grid, batch, channels);
      });
  if (error) return error;
  return launch_threads(on, across, rows, [&](auto zero, dim3 count, cudaStream_t stream) {
    using A = AccumulateType<decltype(zero)>;
    ISP_META_LAUNCH(gather_blocks_kernel<A>, count, kThreads, 0, stream,
                    static_cast<const A*>(blocks), static_cast<A*>(sums), grid, batch, channels);
  });
}

const char* launch_distribute(const Launch& on, const void* centers, const void* association,
                              void* pixels, int64_t batch, int channels, Grid grid) {
  return launch_pixels(on, batch, grid, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(distribute_kernel<T>, blocks, kThreads, 0, stream,
                    static_cast<const AccumulateType<T>*>(centers),
                    static_cast<const T*>(association), static_cast<T*>(pixels), grid, batch,
                    channels);
  });
}

const char* launch_correlate(const Launch& on, const void* features, const void* centers,
                             void* association, int64_t batch, int channels, Grid grid) {
  return launch_pixels(on, batch, grid, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(correlate_kernel<T>, blocks, kThreads, 0, stream,
                    static_cast<const T*>(features), static_cast<const AccumulateType<T>*>(centers),
                    static_cast<T*>(association), grid, batch, channels);
  });
}

}  // namespace isp_meta

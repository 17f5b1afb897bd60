#include "aggregate/aggregate.h"
#include "launch.h"

namespace isp_meta {
namespace {

// Channels that a thread sums at once, in registers.
constexpr int kGroup = 4;

// One thread a block, neighbor and group of channels, neighbors side by side: they read the same
// pixels of features. blocks[((batch * cells + block) * 9 + n) * (channels + 1) + c].
template <class T, class A = AccumulateType<T>>
__global__ void sum_blocks_kernel(const T* features, const T* association, A* blocks, Grid grid,
                                  int channels, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int n = int(i % kNeighbors), groups = channels / kGroup + 1;
  const int64_t at = i / kNeighbors / groups;
  const int first = int(i / kNeighbors % groups) * kGroup;
  const Cell block(grid, at);
  const T* weights = association + (block.batch * kNeighbors + n) * grid.pixels();
  features += (block.batch * channels + first) * grid.pixels();
  A sums[kGroup] = {};
  for (int y = grid.begin(block.y); y < grid.end_y(block.y); ++y) {
    A row[kGroup] = {};
    for (int x = grid.begin(block.x); x < grid.end_x(block.x); ++x) {
      const int64_t pixel = int64_t(y) * grid.width + x;
      const A q = A(weights[pixel]);
      ISP_META_UNROLL
      for (int c = 0; c < kGroup; ++c) {
        if (first + c < channels) row[c] += q * A(features[c * grid.pixels() + pixel]);
        if (first + c == channels) row[c] += q;
      }
    }
    ISP_META_UNROLL
    for (int c = 0; c < kGroup; ++c) sums[c] += row[c];
  }
  A* to = blocks + (at * kNeighbors + n) * (channels + 1) + first;
  ISP_META_UNROLL
  for (int c = 0; c < kGroup; ++c) {
    if (first + c <= channels) to[c] = sums[c];
  }
}

// One thread a cell and channel: the nine blocks around it, in the order of the neighbors.
template <class A>
__global__ void gather_blocks_kernel(const A* blocks, A* sums, Grid grid, int channels,
                                     int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int c = int(i % (channels + 1));
  const Cell cell(grid, i / (channels + 1));
  A sum = A(0);
  for_blocks(grid, cell.y, cell.x, [&](int by, int bx, int n) {
    const int64_t block = cell.batch * grid.cells() + grid.at(by, bx);
    sum += blocks[(block * kNeighbors + n) * (channels + 1) + c];
  });
  sums[(cell.batch * (channels + 1) + c) * grid.cells() + cell.at] = sum;
}

template <class T, class A = AccumulateType<T>>
__global__ void distribute_kernel(const A* centers, const T* association, T* pixels, Grid grid,
                                  int channels, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const Pixel pixel(grid, i);
  const unsigned exists = grid.neighbors(pixel.by, pixel.bx);
  association += pixel.batch * kNeighbors * grid.pixels() + pixel.at;
  centers += pixel.batch * channels * grid.cells() + grid.at(pixel.by, pixel.bx);
  pixels += pixel.batch * channels * grid.pixels() + pixel.at;
  A q[kNeighbors];
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) {
    q[n] = exists >> n & 1 ? A(association[n * grid.pixels()]) : A(0);
  }
  for (int c = 0; c < channels; ++c, centers += grid.cells()) {
    A sum = A(0);
    ISP_META_UNROLL
    for (int n = 0; n < kNeighbors; ++n) {
      if (exists >> n & 1) sum += q[n] * centers[offset_y(n) * grid.cols() + offset_x(n)];
    }
    pixels[c * grid.pixels()] = T(sum);
  }
}

template <class T, class A = AccumulateType<T>>
__global__ void correlate_kernel(const T* features, const A* centers, T* association, Grid grid,
                                 int channels, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const Pixel pixel(grid, i);
  const unsigned exists = grid.neighbors(pixel.by, pixel.bx);
  features += pixel.batch * channels * grid.pixels() + pixel.at;
  centers += pixel.batch * (channels + 1) * grid.cells() + grid.at(pixel.by, pixel.bx);
  association += pixel.batch * kNeighbors * grid.pixels() + pixel.at;
  A sums[kNeighbors] = {};
  for (int c = 0; c <= channels; ++c, centers += grid.cells()) {
    const A f = c < channels ? A(features[c * grid.pixels()]) : A(1);
    ISP_META_UNROLL
    for (int n = 0; n < kNeighbors; ++n) {
      if (exists >> n & 1) sums[n] += f * centers[offset_y(n) * grid.cols() + offset_x(n)];
    }
  }
  ISP_META_UNROLL
  for (int n = 0; n < kNeighbors; ++n) association[n * grid.pixels()] = T(sums[n]);
}

}  // namespace

const char* launch_accumulate(const Launch& on, const void* features, const void* association,
                              void* blocks, void* sums, int64_t batch, int channels, Grid grid) {
  const int64_t threads = batch * grid.cells() * kNeighbors * (channels / kGroup + 1);
  const char* error = launch(on, threads, [&](auto zero, unsigned count, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(sum_blocks_kernel<T>, count, kThreads, stream, static_cast<const T*>(features),
                    static_cast<const T*>(association), static_cast<AccumulateType<T>*>(blocks),
                    grid, channels, threads);
  });
  if (error) return error;
  const int64_t cells = batch * (channels + 1) * grid.cells();
  return launch(on, cells, [&](auto zero, unsigned count, cudaStream_t stream) {
    using A = AccumulateType<decltype(zero)>;
    ISP_META_LAUNCH(gather_blocks_kernel<A>, count, kThreads, stream, static_cast<const A*>(blocks),
                    static_cast<A*>(sums), grid, channels, cells);
  });
}

const char* launch_distribute(const Launch& on, const void* centers, const void* association,
                              void* pixels, int64_t batch, int channels, Grid grid) {
  const int64_t count = batch * grid.pixels();
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(distribute_kernel<T>, blocks, kThreads, stream,
                    static_cast<const AccumulateType<T>*>(centers),
                    static_cast<const T*>(association), static_cast<T*>(pixels), grid, channels,
                    count);
  });
}

const char* launch_correlate(const Launch& on, const void* features, const void* centers,
                             void* association, int64_t batch, int channels, Grid grid) {
  const int64_t count = batch * grid.pixels();
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(correlate_kernel<T>, blocks, kThreads, stream, static_cast<const T*>(features),
                    static_cast<const AccumulateType<T>*>(centers), static_cast<T*>(association),
                    grid, channels, count);
  });
}

}  // namespace isp_meta

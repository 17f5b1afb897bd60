#include "aggregate/aggregate.h"
#include "launch.h"

namespace isp_meta {
namespace {

// One thread a cell and channel, in the order of the CPU: down the columns of the three rows of
// blocks, then along each block, then over the blocks left to right.
template <class T, class A = AccumulateType<T>>
__global__ void accumulate_kernel(const T* features, const T* association, A* sums, Grid grid,
                                  int channels, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int cx = int(i % grid.cols()), cy = int(i / grid.cols() % grid.rows());
  const int c = int(i / grid.cells() % (channels + 1));
  const int64_t batch = i / grid.cells() / (channels + 1);
  features += (batch * channels + c) * grid.pixels();
  association += batch * kNeighbors * grid.pixels();
  A total = A(0);
  for (int bx = max(cx - 1, 0); bx <= min(cx + 1, grid.cols() - 1); ++bx) {
    A sum = A(0);
    for (int x = grid.begin(bx); x < grid.end_x(bx); ++x) {
      A column = A(0);
      for (int by = max(cy - 1, 0); by <= min(cy + 1, grid.rows() - 1); ++by) {
        const T* weights = association + neighbor(cy - by, cx - bx) * grid.pixels();
        for (int y = grid.begin(by); y < grid.end_y(by); ++y) {
          const int64_t at = int64_t(y) * grid.width + x;
          if (c < channels) {
            add_products(features + at, weights + at, &column, 1);
          } else {
            add(weights + at, &column, 1);
          }
        }
      }
      sum += column;
    }
    total += sum;
  }
  sums[i] = total;
}

template <class T, class A = AccumulateType<T>>
__global__ void distribute_kernel(const A* centers, const T* association, T* pixels, Grid grid,
                                  int channels, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t batch = i / grid.pixels(), pixel = i % grid.pixels();
  const int by = int(pixel / grid.width) / grid.cell, bx = int(pixel % grid.width) / grid.cell;
  const unsigned exists = grid.neighbors(by, bx);
  association += batch * kNeighbors * grid.pixels() + pixel;
  centers += batch * channels * grid.cells() + int64_t(by) * grid.cols() + bx;
  pixels += batch * channels * grid.pixels() + pixel;
  for (int c = 0; c < channels; ++c) {
    A sum = A(0);
    for (int n = 0; n < kNeighbors; ++n) {
      if (!(exists >> n & 1)) continue;
      add_products(association + n * grid.pixels(),
                   centers + c * grid.cells() + offset_y(n) * grid.cols() + offset_x(n), &sum, 1);
    }
    pixels[c * grid.pixels()] = T(sum);
  }
}

template <class T, class A = AccumulateType<T>>
__global__ void correlate_kernel(const T* features, const A* centers, T* association, Grid grid,
                                 int channels, int64_t count) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t batch = i / grid.pixels(), pixel = i % grid.pixels();
  const int by = int(pixel / grid.width) / grid.cell, bx = int(pixel % grid.width) / grid.cell;
  const unsigned exists = grid.neighbors(by, bx);
  features += batch * channels * grid.pixels() + pixel;
  centers += batch * (channels + 1) * grid.cells() + int64_t(by) * grid.cols() + bx;
  association += batch * kNeighbors * grid.pixels() + pixel;
  for (int n = 0; n < kNeighbors; ++n) {
    A sum = A(0);
    if (exists >> n & 1) {
      const A* center = centers + offset_y(n) * grid.cols() + offset_x(n);
      add(center + channels * grid.cells(), &sum, 1);
      for (int c = 0; c < channels; ++c) {
        add_products(features + c * grid.pixels(), center + c * grid.cells(), &sum, 1);
      }
    }
    association[n * grid.pixels()] = T(sum);
  }
}

}  // namespace

const char* launch_accumulate(const Launch& on, const void* features, const void* association,
                              void* sums, int64_t batch, int channels, Grid grid) {
  const int64_t count = batch * (channels + 1) * grid.cells();
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    ISP_META_LAUNCH(accumulate_kernel<T>, blocks, kThreads, stream, static_cast<const T*>(features),
                    static_cast<const T*>(association), static_cast<AccumulateType<T>*>(sums), grid,
                    channels, count);
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

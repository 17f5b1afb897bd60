#include "local_rbf/local_rbf.h"
#include "log_gain.h"
#include "warp.h"

namespace isp_meta {
namespace {

// One warp a system, which stands in shared memory; then one thread a pixel of its cell, or one a
// value.

// Channels whose sums a thread keeps in registers, and rows of the matrix that it eliminates.
constexpr int kAtOnce = 4;
constexpr int kRows = (kMostNeighbors + kMostChannels) / kWarp + 1;
// What a kernel has of shared memory without asking.
constexpr int kGranted = 48 << 10;

// Places of what a warp shares: points, matrix and right-hand sides, origin, tail, pixels.
struct Layout {
  int matrix, origin, affine, pixels, end;

  ISP_META_HD Layout(const LocalRBF& rbf, int right) {
    matrix = rbf.neighbors * rbf.dims();
    origin = matrix + rbf.entries(right);
    affine = origin + rbf.dims();
    pixels = affine + rbf.channels * (rbf.dims() + 1);
    end = pixels + rbf.dims() * kWarp;
  }
};

// No thread waits for an answer, so a wrong index is moved to where memory is.
__device__ inline int64_t sample_at(const LocalRBF& rbf, const int64_t* chosen, int k) {
  return max(int64_t(0), min(chosen[k], rbf.samples - 1));
}

template <class A>
__device__ void read_samples(const LocalRBF& rbf, const A* points, const A* values,
                             const int64_t* chosen, A* room, A* origin, A* matrix) {
  const int dims = rbf.dims(), t = int(threadIdx.x);
  for (int k = t; k < rbf.neighbors; k += kWarp) {
    const int64_t sample = sample_at(rbf, chosen, k);
    for (int d = 0; d < dims; ++d) room[k * dims + d] = points[sample * dims + d];
    for (int v = 0; v < rbf.channels; ++v) {
      matrix[rbf.at(rbf.neighbors + v, k)] = values[sample * rbf.channels + v];
    }
  }
  __syncwarp();
  for (int d = t; d < dims; d += kWarp) {
    origin[d] = mean_coordinate(rbf, room, d, [](int k) { return k; });
  }
  __syncwarp();
  for (int k = t; k < rbf.neighbors; k += kWarp) {
    for (int d = 0; d < dims; ++d) {
      room[k * dims + d] = (room[k * dims + d] - origin[d]) * rbf.per_scale<A>(d);
    }
  }
  __syncwarp();
}

template <class A>
__device__ void fill(const LocalRBF& rbf, const A* points, A* matrix) {
  for (int at = int(threadIdx.x), i = 0, j = at; at < rbf.triangle(); at += kWarp, j += kWarp) {
    while (j > i) j -= ++i;
    const A value =
        covariance(rbf, Point<A>{points + i * rbf.dims(), 1}, Point<A>{points + j * rbf.dims(), 1});
    matrix[at] = i > j ? value : diagonal(rbf, value);
  }
}

// Factorizes the matrix and forward-substitutes `right` right-hand sides.
template <class A>
__device__ void factorize(const LocalRBF& rbf, A* matrix, int right) {
  const int rows = rbf.neighbors + right, t = int(threadIdx.x);
  for (int j = 0; j < rbf.neighbors; ++j) {
    __syncwarp();
    // All entries of the column at once, the pivot among them, whose root the others then wait for.
    A rest[kRows];
    ISP_META_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (j + t + r * kWarp < rows) remainders<1>(rbf, matrix, j + t + r * kWarp, j, rest + r);
    }
    if (t == 0) matrix[rbf.at(j, j)] = pivot(rbf, rest[0]);
    __syncwarp();
    ISP_META_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const int i = j + t + r * kWarp;
      if (i > j && i < rows) matrix[rbf.at(i, j)] = rest[r] * matrix[rbf.at(j, j)];
    }
  }
  __syncwarp();
}

template <class A>
__device__ void substitute(const LocalRBF& rbf, A* matrix) {
  for (int i = rbf.neighbors - 1; i > 0; --i) {
    for (int v = 0; v < rbf.channels; ++v) {
      // What divide() will make of it, once nobody needs y.
      const A w = matrix[rbf.at(rbf.neighbors + v, i)] * matrix[rbf.at(i, i)];
      for (int k = int(threadIdx.x); k < i; k += kWarp) take_off(rbf, matrix, v, i, k, w);
    }
    __syncwarp();
  }
  for (int v = 0; v < rbf.channels; ++v) {
    for (int k = int(threadIdx.x); k < rbf.neighbors; k += kWarp) divide(rbf, matrix, v, k);
  }
  __syncwarp();
}

template <class T, class A = AccumulateType<T>>
__global__ void interpolate_kernel(const T* __restrict__ guide, const A* __restrict__ points,
                                   const A* __restrict__ values,
                                   const int64_t* __restrict__ neighbors, A* __restrict__ pixels,
                                   int64_t batch, LocalRBF rbf) {
  A* const room = shared_memory<A>();
  const Layout at(rbf, rbf.channels);
  A *matrix = room + at.matrix, *origin = room + at.origin, *affine = room + at.affine;
  const Grid grid = rbf.grid;
  const Cell cell = cell_in_row(grid, int(blockIdx.x));
  if (cell.batch >= batch) return;
  const int dims = rbf.dims(), t = int(threadIdx.x);
  const int64_t* chosen = neighbors + cell.in_batch(grid) * rbf.neighbors;
  read_samples(rbf, points, values, chosen, room, origin, matrix);
  fill(rbf, room, matrix);
  factorize(rbf, matrix, rbf.channels);
  substitute(rbf, matrix);
  for (int v = 0; v < rbf.channels; ++v) {
    for (int d = t; d <= dims; d += kWarp) {
      affine[v * (dims + 1) + d] = tail_coefficient(rbf, room, matrix, 1, v, d);
    }
  }
  __syncwarp();
  const int64_t plane = grid.pixels(), count = grid.pixels_of(cell.y, cell.x);
  const int top = grid.begin(cell.y), left = grid.begin(cell.x);
  guide += cell.batch * rbf.guides * plane;
  pixels += cell.batch * rbf.channels * plane;
  A* pixel = room + at.pixels + t;
  const Point<A> at_pixel{pixel, kWarp};
  LaneWalk walk(grid.end_x(cell.x) - left);
  for (int64_t p = t; p < count; p += kWarp, walk.step()) {
    const int y = top + walk.y, x = left + walk.x;
    for (int d = 0; d < dims; ++d) {
      pixel[d * kWarp] = pixel_coordinate(rbf, guide, y, x, d, origin[d]);
    }
    for (int first = 0; first < rbf.channels; first += kAtOnce) {
      A sums[kAtOnce];
      ISP_META_UNROLL
      for (int v = 0; v < kAtOnce; ++v) {
        sums[v] = A(0);
        if (first + v >= rbf.channels) continue;
        sums[v] = tail_value(rbf, affine + (first + v) * (dims + 1), at_pixel);
      }
      for (int k = 0; k < rbf.neighbors; ++k) {
        const A radial = radial_function(
            rbf.radial, square_distance(at_pixel, Point<A>{room + k * dims, 1}, dims));
        ISP_META_UNROLL
        for (int v = 0; v < kAtOnce; ++v) {
          if (first + v < rbf.channels) {
            sums[v] += matrix[rbf.at(rbf.neighbors + first + v, k)] * radial;
          }
        }
      }
      ISP_META_UNROLL
      for (int v = 0; v < kAtOnce; ++v) {
        if (first + v >= rbf.channels) continue;
        pixels[(first + v) * plane + int64_t(y) * grid.width + x] = sums[v];
      }
    }
  }
}

template <class T, class A = AccumulateType<T>>
__global__ void leave_one_out_kernel(const A* __restrict__ points, const A* __restrict__ values,
                                     const int64_t* __restrict__ neighbors,
                                     A* __restrict__ predictions, LocalRBF rbf) {
  A* const room = shared_memory<A>();
  const Layout at(rbf, rbf.channels + 1);
  A *matrix = room + at.matrix, *origin = room + at.origin, *left_out = room + at.pixels;
  const int64_t* chosen = neighbors + int64_t(blockIdx.x) * (rbf.neighbors + 1);
  const int dims = rbf.dims(), last = rbf.neighbors + rbf.channels, t = int(threadIdx.x);
  read_samples(rbf, points, values, chosen + 1, room, origin, matrix);
  for (int d = t; d < dims; d += kWarp) {
    left_out[d] = (points[sample_at(rbf, chosen, 0) * dims + d] - origin[d]) * rbf.per_scale<A>(d);
  }
  __syncwarp();
  for (int k = t; k < rbf.neighbors; k += kWarp) {
    matrix[rbf.at(last, k)] = covariance(rbf, Point<A>{left_out, 1}, Point<A>{room + k * dims, 1});
  }
  fill(rbf, room, matrix);
  factorize(rbf, matrix, rbf.channels + 1);
  for (int v = t; v < rbf.channels; v += kWarp) {
    A sum = A(0);
    for (int k = 0; k < rbf.neighbors; ++k) {
      sum += matrix[rbf.at(last, k)] * matrix[rbf.at(rbf.neighbors + v, k)];
    }
    predictions[int64_t(blockIdx.x) * rbf.channels + v] = sum;
  }
}

// Numbers a thread's pixel has for the equations: what each sample adds, each color's gain that
// would meet it, and its weight.
ISP_META_HD int numbers_of_pixel(const LocalRBF& rbf, int colors) {
  return rbf.neighbors + colors + 1;
}

// One pixel's numbers, kWarp apart, from the inverse of its system's matrix.
template <class A>
__device__ void fill_pixel(const LocalRBF& rbf, const Met<A>& met, const A* points, const A* matrix,
                           const int64_t* chosen, Point<A> at_pixel, int64_t batch, int64_t at,
                           A* to) {
  const int size = rbf.neighbors, dims = rbf.dims();
  for (int v = 0; v < size; ++v) to[v * kWarp] = A(0);
  for (int k = 0; k < size; ++k) {
    const A value = covariance(rbf, at_pixel, Point<A>{points + k * dims, 1});
    for (int v = 0; v < size; ++v) to[v * kWarp] += matrix[rbf.at(size + v, k)] * value;
  }
  // What does not count may hold anything, and becomes 0.
  const A counts = met.weight ? met.weight[batch * rbf.grid.pixels() + at] : A(1);
  A squares = A(0);
  for (int c = 0; c < met.colors; ++c) {
    A gain = A(0), square;
    for (int k = 0; k < size; ++k) {
      gain += met.now[sample_at(rbf, chosen, k) * met.colors + c] * to[k * kWarp];
    }
    const int64_t place = (batch * met.colors + c) * rbf.grid.pixels() + at;
    gain = linearized(gain, met.guess[place], met.truth[place], square);
    to[(size + c) * kWarp] = counts > A(0) ? gain : A(0);
    squares += square;
  }
  to[(size + met.colors) * kWarp] = counts > A(0) ? counts * squares / A(met.colors) : A(0);
}

template <class T, class A = AccumulateType<T>>
__global__ void equations_kernel(const T* __restrict__ guide, const A* __restrict__ points,
                                 Met<A> met, const int64_t* __restrict__ neighbors,
                                 A* __restrict__ equations, int64_t batch, LocalRBF rbf) {
  A* const room = shared_memory<A>();
  const Layout at(rbf, rbf.neighbors);
  A *matrix = room + at.matrix, *origin = room + at.origin, *numbers = room + at.end;
  const Grid grid = rbf.grid;
  const Cell cell = cell_in_row(grid, int(blockIdx.x));
  if (cell.batch >= batch) return;
  const int dims = rbf.dims(), t = int(threadIdx.x);
  const int size = rbf.neighbors, columns = size + met.colors;
  const int64_t* chosen = neighbors + cell.in_batch(grid) * size;
  LocalRBF bare = rbf;
  bare.channels = 0;  // the right-hand sides are the unit matrix
  read_samples<A>(bare, points, nullptr, chosen, room, origin, matrix);
  for (int i = t; i < size * size; i += kWarp) {
    matrix[rbf.triangle() + i] = A(i % (size + 1) == 0);
  }
  fill(rbf, room, matrix);
  factorize(rbf, matrix, size);
  substitute(rbf, matrix);
  const int64_t count = grid.pixels_of(cell.y, cell.x);
  const int top = grid.begin(cell.y), left = grid.begin(cell.x);
  guide += cell.batch * rbf.guides * grid.pixels();
  equations += cell.in_batch(grid) * size * columns;
  for (int i = t; i < size * columns; i += kWarp) equations[i] = A(0);
  A* pixel = room + at.pixels + t;
  LaneWalk walk(grid.end_x(cell.x) - left);
  for (int64_t first = 0; first < count; first += kWarp, walk.step()) {
    if (first + t < count) {
      const int y = top + walk.y, x = left + walk.x;
      for (int d = 0; d < dims; ++d) {
        pixel[d * kWarp] = pixel_coordinate(rbf, guide, y, x, d, origin[d]);
      }
      fill_pixel(rbf, met, room, matrix, chosen, Point<A>{pixel, kWarp}, cell.batch,
                 int64_t(y) * grid.width + x, numbers + t);
    }
    __syncwarp();
    const int held = int(count - first < kWarp ? count - first : kWarp);
    for (int i = t; i < size * columns; i += kWarp) {
      const A *own = numbers + i / columns * kWarp, *other = numbers + i % columns * kWarp;
      const A* weight = numbers + columns * kWarp;
      A sum = equations[i];
      for (int q = 0; q < held; ++q) sum += weight[q] * own[q] * other[q];
      equations[i] = sum;
    }
    __syncwarp();
  }
}

// Bytes of shared memory of a kernel's systems, and of `more` numbers, asked for where they are
// many.
template <class A, class F>
unsigned shared_bytes(F kernel, const LocalRBF& rbf, int right, int more = 0) {
  const int bytes = (Layout(rbf, right).end + more) * int(sizeof(A));
  // What it answers, the launch answers too.
  if (bytes > kGranted) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  }
  return unsigned(bytes);
}

}  // namespace

const char* launch_local_rbf(const Launch& on, const void* guide, const void* points,
                             const void* values, const int64_t* neighbors, void* pixels,
                             int64_t batch, const LocalRBF& rbf) {
  const int64_t rows = batch * rbf.grid.rows();
  return launch(on, rbf.grid.cols(), rows, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    const auto kernel = interpolate_kernel<T>;
    ISP_META_LAUNCH(kernel, blocks, kWarp, shared_bytes<A>(kernel, rbf, rbf.channels), stream,
                    static_cast<const T*>(guide), static_cast<const A*>(points),
                    static_cast<const A*>(values), neighbors, static_cast<A*>(pixels), batch, rbf);
  });
}

const char* launch_local_rbf_equations(const Launch& on, const void* guide, const void* points,
                                       const MetTensors& met, const int64_t* neighbors,
                                       void* equations, int64_t batch, const LocalRBF& rbf) {
  const int64_t rows = batch * rbf.grid.rows();
  return launch(on, rbf.grid.cols(), rows, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    const auto typed = [](const void* from) { return static_cast<const A*>(from); };
    const Met<A> of{typed(met.now), typed(met.guess), typed(met.truth), typed(met.weight),
                    met.colors};
    const auto kernel = equations_kernel<T>;
    const int more = numbers_of_pixel(rbf, met.colors) * kWarp;
    ISP_META_LAUNCH(kernel, blocks, kWarp, shared_bytes<A>(kernel, rbf, rbf.neighbors, more),
                    stream, static_cast<const T*>(guide), typed(points), of, neighbors,
                    static_cast<A*>(equations), batch, rbf);
  });
}

const char* launch_local_rbf_leave_one_out(const Launch& on, const void* points, const void* values,
                                           const int64_t* neighbors, void* predictions,
                                           int64_t systems, const LocalRBF& rbf) {
  return launch(on, systems, 1, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    const auto kernel = leave_one_out_kernel<T>;
    ISP_META_LAUNCH(kernel, blocks, kWarp, shared_bytes<A>(kernel, rbf, rbf.channels + 1), stream,
                    static_cast<const A*>(points), static_cast<const A*>(values), neighbors,
                    static_cast<A*>(predictions), rbf);
  });
}

}  // namespace isp_meta

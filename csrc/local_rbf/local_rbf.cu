#include "launch.h"
#include "local_rbf/local_rbf.h"
#include "log_gain.h"

namespace isp_meta {
namespace {

// One group of threads a system, which stands in shared memory; then one thread a pixel of its
// cell, or one a sample.
constexpr int kSystemThreads = 64;
// Channels whose sums a thread keeps in registers.
constexpr int kAtOnce = 4;
// Numbers in shared memory, of which few let more groups run side by side.
constexpr int kFew = 2048, kMany = 6144;

// Places of what a group shares: points, matrix and right-hand sides, origin, tail, pixels.
struct Layout {
  int matrix, origin, affine, pixels, end;

  ISP_META_HD Layout(const LocalRBF& rbf, int right) {
    matrix = rbf.neighbors * rbf.dims();
    origin = matrix + rbf.entries(right);
    affine = origin + rbf.dims();
    pixels = affine + rbf.channels * (rbf.dims() + 1);
    end = pixels + rbf.dims() * kSystemThreads;
  }
};

// No thread waits for an answer, so a wrong index is moved to where memory is.
__device__ inline int64_t sample_at(const LocalRBF& rbf, const int64_t* chosen, int k) {
  return max(int64_t(0), min(chosen[k], rbf.samples - 1));
}

template <class A>
__device__ void read_points(const LocalRBF& rbf, const A* points, const int64_t* chosen, A* room,
                            A* origin) {
  const int dims = rbf.dims();
  for (int d = threadIdx.x; d < dims; d += kSystemThreads) {
    origin[d] = mean_coordinate(rbf, points, d, [&](int k) { return sample_at(rbf, chosen, k); });
  }
  __syncthreads();
  for (int i = threadIdx.x; i < rbf.neighbors * dims; i += kSystemThreads) {
    const int k = i / dims, d = i % dims;
    room[i] = (points[sample_at(rbf, chosen, k) * dims + d] - origin[d]) * rbf.per_scale<A>(d);
  }
  __syncthreads();
}

template <class A>
__device__ void read_values(const LocalRBF& rbf, const A* values, const int64_t* chosen,
                            A* matrix) {
  for (int i = threadIdx.x; i < rbf.channels * rbf.neighbors; i += kSystemThreads) {
    const int v = i / rbf.neighbors, k = i % rbf.neighbors;
    matrix[rbf.triangle() + i] = values[sample_at(rbf, chosen, k) * rbf.channels + v];
  }
}

// Fills the matrix, factorizes it and forward-substitutes `right` right-hand sides.
template <class A>
__device__ void factorize(const LocalRBF& rbf, const A* points, A* matrix, int right) {
  for (int at = threadIdx.x; at < rbf.neighbors * rbf.neighbors; at += kSystemThreads) {
    const int i = at / rbf.neighbors, j = at % rbf.neighbors;
    if (i < j) continue;
    const A value =
        covariance(rbf, Point<A>{points + i * rbf.dims(), 1}, Point<A>{points + j * rbf.dims(), 1});
    matrix[rbf.at(i, j)] = i > j ? value : diagonal(rbf, value);
  }
  for (int j = 0; j < rbf.neighbors; ++j) {
    __syncthreads();
    if (threadIdx.x == 0) eliminate_pivot(rbf, matrix, j);
    __syncthreads();
    for (int i = j + 1 + threadIdx.x; i < rbf.neighbors + right; i += kSystemThreads) {
      eliminate<1>(rbf, matrix, i, j);
    }
  }
  __syncthreads();
}

template <class A>
__device__ void substitute(const LocalRBF& rbf, A* matrix) {
  for (int i = rbf.neighbors - 1; i >= 0; --i) {
    for (int v = threadIdx.x; v < rbf.channels; v += kSystemThreads) divide(rbf, matrix, v, i);
    __syncthreads();
    for (int at = threadIdx.x; at < rbf.channels * i; at += kSystemThreads) {
      take_off(rbf, matrix, at / i, i, at % i);
    }
    __syncthreads();
  }
}

template <int kRoom, class T, class A = AccumulateType<T>>
__global__ void interpolate_kernel(const T* guide, const A* points, const A* values,
                                   const int64_t* neighbors, A* pixels, LocalRBF rbf) {
  __shared__ A room[kRoom];
  const Layout at(rbf, rbf.channels);
  A *matrix = room + at.matrix, *origin = room + at.origin, *affine = room + at.affine;
  const int64_t* chosen = neighbors + int64_t(blockIdx.x) * rbf.neighbors;
  const int dims = rbf.dims();
  read_points(rbf, points, chosen, room, origin);
  read_values(rbf, values, chosen, matrix);
  factorize(rbf, room, matrix, rbf.channels);
  substitute(rbf, matrix);
  for (int i = threadIdx.x; i < rbf.channels * (dims + 1); i += kSystemThreads) {
    affine[i] = tail_coefficient(rbf, room, matrix, 1, i / (dims + 1), i % (dims + 1));
  }
  __syncthreads();
  const Grid grid = rbf.grid;
  const Cell cell(grid, blockIdx.x);
  const int top = grid.begin(cell.y), left = grid.begin(cell.x), width = grid.end_x(cell.x) - left;
  const int count = width * (grid.end_y(cell.y) - top);
  guide += cell.batch * rbf.guides * grid.pixels();
  pixels += cell.batch * rbf.channels * grid.pixels();
  A* pixel = room + at.pixels + threadIdx.x;
  const Point<A> at_pixel{pixel, kSystemThreads};
  for (int p = threadIdx.x; p < count; p += kSystemThreads) {
    const int y = top + p / width, x = left + p % width;
    for (int d = 0; d < dims; ++d) {
      pixel[d * kSystemThreads] = pixel_coordinate(rbf, guide, y, x, d, origin[d]);
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
        pixels[(first + v) * grid.pixels() + int64_t(y) * grid.width + x] = sums[v];
      }
    }
  }
}

template <int kRoom, class T, class A = AccumulateType<T>>
__global__ void leave_one_out_kernel(const A* points, const A* values, const int64_t* neighbors,
                                     A* predictions, LocalRBF rbf) {
  __shared__ A room[kRoom];
  const Layout at(rbf, rbf.channels + 1);
  A *matrix = room + at.matrix, *origin = room + at.origin, *left_out = room + at.pixels;
  const int64_t* chosen = neighbors + int64_t(blockIdx.x) * (rbf.neighbors + 1);
  const int dims = rbf.dims(), last = rbf.neighbors + rbf.channels;
  read_points(rbf, points, chosen + 1, room, origin);
  read_values(rbf, values, chosen + 1, matrix);
  for (int d = threadIdx.x; d < dims; d += kSystemThreads) {
    left_out[d] = (points[sample_at(rbf, chosen, 0) * dims + d] - origin[d]) * rbf.per_scale<A>(d);
  }
  __syncthreads();
  for (int k = threadIdx.x; k < rbf.neighbors; k += kSystemThreads) {
    matrix[rbf.at(last, k)] = covariance(rbf, Point<A>{left_out, 1}, Point<A>{room + k * dims, 1});
  }
  factorize(rbf, room, matrix, rbf.channels + 1);
  for (int v = threadIdx.x; v < rbf.channels; v += kSystemThreads) {
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

// One pixel's numbers, kSystemThreads apart, from the inverse of its system's matrix.
template <class T, class A>
__device__ void fill_pixel(const LocalRBF& rbf, const Met<A>& met, const A* points, const A* matrix,
                           const int64_t* chosen, Point<A> at_pixel, int64_t batch, int64_t at,
                           A* to) {
  const int size = rbf.neighbors, dims = rbf.dims();
  for (int v = 0; v < size; ++v) to[v * kSystemThreads] = A(0);
  for (int k = 0; k < size; ++k) {
    const A value = covariance(rbf, at_pixel, Point<A>{points + k * dims, 1});
    for (int v = 0; v < size; ++v) to[v * kSystemThreads] += matrix[rbf.at(size + v, k)] * value;
  }
  // What does not count may hold anything, and becomes 0.
  const A counts = met.weight ? met.weight[batch * rbf.grid.pixels() + at] : A(1);
  A squares = A(0);
  for (int c = 0; c < met.colors; ++c) {
    A gain = A(0), square;
    for (int k = 0; k < size; ++k) {
      gain += met.now[sample_at(rbf, chosen, k) * met.colors + c] * to[k * kSystemThreads];
    }
    const int64_t place = (batch * met.colors + c) * rbf.grid.pixels() + at;
    gain = linearized(gain, met.guess[place], met.truth[place], square);
    to[(size + c) * kSystemThreads] = counts > A(0) ? gain : A(0);
    squares += square;
  }
  to[(size + met.colors) * kSystemThreads] =
      counts > A(0) ? counts * squares / A(met.colors) : A(0);
}

template <int kRoom, class T, class A = AccumulateType<T>>
__global__ void equations_kernel(const T* guide, const A* points, Met<A> met,
                                 const int64_t* neighbors, A* equations, LocalRBF rbf) {
  __shared__ A room[kRoom];
  const Layout at(rbf, rbf.neighbors);
  A *matrix = room + at.matrix, *origin = room + at.origin, *numbers = room + at.end;
  const int64_t* chosen = neighbors + int64_t(blockIdx.x) * rbf.neighbors;
  const int dims = rbf.dims(), size = rbf.neighbors, columns = size + met.colors;
  read_points(rbf, points, chosen, room, origin);
  for (int i = threadIdx.x; i < size * size; i += kSystemThreads) {
    matrix[rbf.triangle() + i] = A(i % (size + 1) == 0);
  }
  factorize(rbf, room, matrix, size);
  substitute(rbf, matrix);
  const Grid grid = rbf.grid;
  const Cell cell(grid, blockIdx.x);
  const int top = grid.begin(cell.y), left = grid.begin(cell.x), width = grid.end_x(cell.x) - left;
  const int count = width * (grid.end_y(cell.y) - top);
  guide += cell.batch * rbf.guides * grid.pixels();
  equations += int64_t(blockIdx.x) * size * columns;
  for (int i = threadIdx.x; i < size * columns; i += kSystemThreads) equations[i] = A(0);
  A* pixel = room + at.pixels + threadIdx.x;
  for (int first = 0; first < count; first += kSystemThreads) {
    const int p = first + threadIdx.x;
    if (p < count) {
      const int y = top + p / width, x = left + p % width;
      for (int d = 0; d < dims; ++d) {
        pixel[d * kSystemThreads] = pixel_coordinate(rbf, guide, y, x, d, origin[d]);
      }
      fill_pixel<T>(rbf, met, room, matrix, chosen, Point<A>{pixel, kSystemThreads}, cell.batch,
                    int64_t(y) * grid.width + x, numbers + threadIdx.x);
    }
    __syncthreads();
    const int held = min(kSystemThreads, count - first);
    for (int i = threadIdx.x; i < size * columns; i += kSystemThreads) {
      const A *own = numbers + i / columns * kSystemThreads,
              *other = numbers + i % columns * kSystemThreads,
              *weight = numbers + columns * kSystemThreads;
      A sum = equations[i];
      for (int q = 0; q < held; ++q) sum += weight[q] * own[q] * other[q];
      equations[i] = sum;
    }
    __syncthreads();
  }
}

// Calls run.operator()<room>() with shared memory for the system, or says that there is none.
template <class F>
const char* with_room(const LocalRBF& rbf, int right, const F& run, int more = 0) {
  const int end = Layout(rbf, right).end + more;
  if (end > kMany) return "the systems are too large for shared memory";
  return end > kFew ? run.template operator()<kMany>() : run.template operator()<kFew>();
}

}  // namespace

const char* launch_local_rbf(const Launch& on, const void* guide, const void* points,
                             const void* values, const int64_t* neighbors, void* pixels,
                             int64_t batch, const LocalRBF& rbf) {
  // One group of threads a system.
  const int64_t threads = batch * rbf.grid.cells() * kThreads;
  return with_room(rbf, rbf.channels, [&]<int kRoom>() {
    return launch(on, threads, [&](auto zero, unsigned blocks, cudaStream_t stream) {
      using T = decltype(zero);
      using A = AccumulateType<T>;
      const auto kernel = interpolate_kernel<kRoom, T>;
      ISP_META_LAUNCH(kernel, blocks, kSystemThreads, stream, static_cast<const T*>(guide),
                      static_cast<const A*>(points), static_cast<const A*>(values), neighbors,
                      static_cast<A*>(pixels), rbf);
    });
  });
}

const char* launch_local_rbf_leave_one_out(const Launch& on, const void* points, const void* values,
                                           const int64_t* neighbors, void* predictions,
                                           int64_t systems, const LocalRBF& rbf) {
  return with_room(rbf, rbf.channels + 1, [&]<int kRoom>() {
    return launch(on, systems * kThreads, [&](auto zero, unsigned blocks, cudaStream_t stream) {
      using T = decltype(zero);
      using A = AccumulateType<T>;
      const auto kernel = leave_one_out_kernel<kRoom, T>;
      ISP_META_LAUNCH(kernel, blocks, kSystemThreads, stream, static_cast<const A*>(points),
                      static_cast<const A*>(values), neighbors, static_cast<A*>(predictions), rbf);
    });
  });
}

const char* launch_local_rbf_equations(const Launch& on, const void* guide, const void* points,
                                       const MetTensors& met, const int64_t* neighbors,
                                       void* equations, int64_t batch, const LocalRBF& rbf) {
  const int64_t threads = batch * rbf.grid.cells() * kThreads;
  const auto run = [&]<int kRoom>() {
    return launch(on, threads, [&](auto zero, unsigned blocks, cudaStream_t stream) {
      using T = decltype(zero);
      using A = AccumulateType<T>;
      const auto typed = [](const void* from) { return static_cast<const A*>(from); };
      const Met<A> of{typed(met.now), typed(met.guess), typed(met.truth), typed(met.weight),
                      met.colors};
      const auto kernel = equations_kernel<kRoom, T>;
      ISP_META_LAUNCH(kernel, blocks, kSystemThreads, stream, static_cast<const T*>(guide),
                      typed(points), of, neighbors, static_cast<A*>(equations), rbf);
    });
  };
  return with_room(rbf, rbf.neighbors, run, numbers_of_pixel(rbf, met.colors) * kSystemThreads);
}

}  // namespace isp_meta

#include "launch.h"
#include "local_rbf/local_rbf.h"

namespace isp_meta {
namespace {

// One group of threads a system, which stands in shared memory; then one thread a pixel of its
// cell, or one a sample.
constexpr int kSystemThreads = 64;
// Channels whose sums a thread keeps in registers.
constexpr int kAtOnce = 4;
// Numbers in shared memory, of which few let more groups run side by side.
constexpr int kFew = 2048, kMany = 6144;

// Places of what a group shares: points, matrix and right-hand sides, origin, tail, pixels, grad.
struct Layout {
  int matrix, origin, affine, pixels, grad, end;

  ISP_META_HD Layout(const LocalRBF& rbf, int right) {
    matrix = rbf.neighbors * rbf.dims();
    origin = matrix + rbf.entries(right);
    affine = origin + rbf.dims();
    pixels = affine + rbf.channels * (rbf.dims() + 1);
    grad = pixels + rbf.dims() * kSystemThreads;
    end = grad + rbf.channels * kSystemThreads;
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
    const A first = points[sample_at(rbf, chosen, 0) * dims + d];
    A sum = A(0);
    for (int k = 0; k < rbf.neighbors; ++k) {
      sum += points[sample_at(rbf, chosen, k) * dims + d] - first;
    }
    origin[d] = first + sum / A(rbf.neighbors);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < rbf.neighbors * dims; i += kSystemThreads) {
    const int k = i / dims, d = i % dims;
    room[i] = (points[sample_at(rbf, chosen, k) * dims + d] - origin[d]) * A(1 / rbf.scale(d));
  }
  __syncthreads();
}

template <class A>
__device__ A covariance(const LocalRBF& rbf, const A* left, const A* right) {
  A value;
  square_distance<1>(left, right, rbf.dims(), &value);
  value = radial_function(rbf.radial, value);
  add_tail<1>(A(rbf.tail), left, right, rbf.dims(), &value);
  return value;
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
    const A value = covariance(rbf, points + i * rbf.dims(), points + j * rbf.dims());
    matrix[rbf.at(i, j)] = i > j ? value : diagonal(rbf, value);
  }
  for (int j = 0; j < rbf.neighbors; ++j) {
    __syncthreads();
    if (threadIdx.x == 0) eliminate<1>(rbf, matrix, j, j);
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
    for (int v = threadIdx.x; v < rbf.channels; v += kSystemThreads) divide<1>(rbf, matrix, v, i);
    __syncthreads();
    for (int at = threadIdx.x; at < rbf.channels * i; at += kSystemThreads) {
      take_off<1>(rbf, matrix, at / i, i, at % i, at % i + 1);
    }
    __syncthreads();
  }
}

// Coordinates of a thread's pixel, kSystemThreads apart.
template <class T, class A>
__device__ void read_pixel(const LocalRBF& rbf, const T* guide, const A* origin, int y, int x,
                           A* pixel) {
  for (int d = 0; d < rbf.dims(); ++d) {
    const A coordinate =
        d == 0   ? A(y)
        : d == 1 ? A(x)
                 : A(guide[(d - 2) * rbf.grid.pixels() + int64_t(y) * rbf.grid.width + x]);
    pixel[d * kSystemThreads] = (coordinate - origin[d]) * A(1 / rbf.scale(d));
  }
}

// The system's cell.
struct Cell {
  int64_t batch;
  int by, bx, width, pixels;

  __device__ Cell(const Grid& grid) {
    const int64_t i = blockIdx.x % grid.cells();
    batch = blockIdx.x / grid.cells();
    by = int(i / grid.cols());
    bx = int(i % grid.cols());
    width = grid.end_x(bx) - grid.begin(bx);
    pixels = width * (grid.end_y(by) - grid.begin(by));
  }
};

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
    affine[i] = tail_coefficient<1>(rbf, room, matrix, i / (dims + 1), i % (dims + 1));
  }
  __syncthreads();
  const Cell cell(rbf.grid);
  guide += cell.batch * rbf.guides * rbf.grid.pixels();
  pixels += cell.batch * rbf.channels * rbf.grid.pixels();
  A* pixel = room + at.pixels + threadIdx.x;
  for (int p = threadIdx.x; p < cell.pixels; p += kSystemThreads) {
    const int y = rbf.grid.begin(cell.by) + p / cell.width;
    const int x = rbf.grid.begin(cell.bx) + p % cell.width;
    read_pixel(rbf, guide, origin, y, x, pixel);
    for (int first = 0; first < rbf.channels; first += kAtOnce) {
      A sums[kAtOnce];
      ISP_META_UNROLL
      for (int v = 0; v < kAtOnce; ++v) {
        sums[v] = A(0);
        if (first + v >= rbf.channels) continue;
        const A* coefficients = affine + (first + v) * (dims + 1);
        sums[v] = coefficients[0];
        for (int d = 0; d < dims; ++d) sums[v] += coefficients[d + 1] * pixel[d * kSystemThreads];
      }
      for (int k = 0; k < rbf.neighbors; ++k) {
        A radial;
        radial_row<0, kSystemThreads>(rbf.radial, pixel, room + k * dims, 1, dims, &radial, 1);
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
        pixels[(first + v) * rbf.grid.pixels() + int64_t(y) * rbf.grid.width + x] = sums[v];
      }
    }
  }
}

template <int kRoom, class T, class A = AccumulateType<T>>
__global__ void adjoint_kernel(const A* grad, const T* guide, const A* points,
                               const int64_t* neighbors, A* parts, LocalRBF rbf) {
  __shared__ A room[kRoom];
  const Layout at(rbf, rbf.channels);
  A *matrix = room + at.matrix, *origin = room + at.origin;
  const int64_t* chosen = neighbors + int64_t(blockIdx.x) * rbf.neighbors;
  const int dims = rbf.dims(), right = rbf.channels * rbf.neighbors;
  read_points(rbf, points, chosen, room, origin);
  for (int i = threadIdx.x; i < right; i += kSystemThreads) matrix[rbf.triangle() + i] = A(0);
  const Cell cell(rbf.grid);
  guide += cell.batch * rbf.guides * rbf.grid.pixels();
  grad += cell.batch * rbf.channels * rbf.grid.pixels();
  for (int begin = 0; begin < cell.pixels; begin += kSystemThreads) {
    const int p = begin + threadIdx.x, count = min(kSystemThreads, cell.pixels - begin);
    __syncthreads();
    if (p < cell.pixels) {
      const int y = rbf.grid.begin(cell.by) + p / cell.width;
      const int x = rbf.grid.begin(cell.bx) + p % cell.width;
      read_pixel(rbf, guide, origin, y, x, room + at.pixels + threadIdx.x);
      for (int v = 0; v < rbf.channels; ++v) {
        room[at.grad + v * kSystemThreads + threadIdx.x] =
            grad[v * rbf.grid.pixels() + int64_t(y) * rbf.grid.width + x];
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < right; i += kSystemThreads) {
      const int v = i / rbf.neighbors, k = i % rbf.neighbors;
      A sum = A(0);
      for (int t = 0; t < count; ++t) {
        A value;
        const A *pixel = room + at.pixels + t, *point = room + k * dims;
        radial_row<0, kSystemThreads>(rbf.radial, pixel, point, 1, dims, &value, 1);
        A product = A(1);
        for (int d = 0; d < dims; ++d) product += pixel[d * kSystemThreads] * point[d];
        sum += (value + A(rbf.tail) * product) * room[at.grad + v * kSystemThreads + t];
      }
      matrix[rbf.triangle() + i] += sum;
    }
  }
  __syncthreads();
  factorize(rbf, room, matrix, rbf.channels);
  substitute(rbf, matrix);
  parts += int64_t(blockIdx.x) * right;
  for (int i = threadIdx.x; i < right; i += kSystemThreads) {
    parts[i] = matrix[rbf.at(rbf.neighbors + i % rbf.channels, i / rbf.channels)];
  }
}

template <class T, class A = AccumulateType<T>>
__global__ void gather_kernel(const A* parts, const int64_t* order, const int64_t* starts,
                              A* values, int64_t parts_count, int64_t count, LocalRBF rbf) {
  const int64_t i = thread_index();
  if (i < count) values[i] = gather(rbf, parts, order, starts, parts_count, i);
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
    left_out[d] = (points[sample_at(rbf, chosen, 0) * dims + d] - origin[d]) * A(1 / rbf.scale(d));
  }
  __syncthreads();
  for (int k = threadIdx.x; k < rbf.neighbors; k += kSystemThreads) {
    matrix[rbf.at(last, k)] = covariance(rbf, left_out, room + k * dims);
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

// Calls run.operator()<room>() with shared memory for the system, or says that there is none.
template <class F>
const char* with_room(const LocalRBF& rbf, int right, const F& run) {
  const int end = Layout(rbf, right).end;
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

const char* launch_local_rbf_adjoint(const Launch& on, const void* grad, const void* guide,
                                     const void* points, const int64_t* neighbors,
                                     const int64_t* order, const int64_t* starts, void* parts,
                                     void* values, int64_t batch, const LocalRBF& rbf) {
  const int64_t systems = batch * rbf.grid.cells();
  const char* error = with_room(rbf, rbf.channels, [&]<int kRoom>() {
    return launch(on, systems * kThreads, [&](auto zero, unsigned blocks, cudaStream_t stream) {
      using T = decltype(zero);
      using A = AccumulateType<T>;
      const auto kernel = adjoint_kernel<kRoom, T>;
      ISP_META_LAUNCH(kernel, blocks, kSystemThreads, stream, static_cast<const A*>(grad),
                      static_cast<const T*>(guide), static_cast<const A*>(points), neighbors,
                      static_cast<A*>(parts), rbf);
    });
  });
  if (error) return error;
  const int64_t count = rbf.samples * rbf.channels;
  return launch(on, count, [&](auto zero, unsigned blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    ISP_META_LAUNCH(gather_kernel<T>, blocks, kThreads, stream, static_cast<const A*>(parts), order,
                    starts, static_cast<A*>(values), systems * rbf.neighbors, count, rbf);
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

}  // namespace isp_meta

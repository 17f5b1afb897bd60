// The CPU's loops over systems and pixels: kLanes systems side by side in a vector register, then
// each one's pixels.
#pragma once

#include <algorithm>
#include <memory>

#include "local_rbf/local_rbf.h"
#include "rows.h"

namespace isp_meta {

// Systems side by side in a vector register, and pixels of one cell that are evaluated at once.
constexpr int kLanes = 8;
constexpr int kPixels = 256;

// What one thread works in.
template <class T>
struct Room {
  std::unique_ptr<T[]> memory;
  T *origin, *points, *matrix, *affine, *pixels, *radial, *sums;

  Room(const LocalRBF& rbf, int right) {
    const size_t dims = rbf.dims(), neighbors = rbf.neighbors, channels = rbf.channels;
    const size_t sizes[] = {dims * kLanes,
                            neighbors * dims * kLanes,
                            size_t(rbf.entries(right)) * kLanes,
                            channels * (dims + 1),
                            dims * kPixels,
                            size_t(kPixels),
                            channels * kPixels};
    T** parts[] = {&origin, &points, &matrix, &affine, &pixels, &radial, &sums};
    size_t all = 0;
    for (const size_t size : sizes) all += size;
    memory = std::make_unique<T[]>(all);
    T* next = memory.get();
    for (size_t i = 0; i < std::size(sizes); next += sizes[i++]) *parts[i] = next;
  }
};

// Fills origin and points of the systems whose samples stand at `chosen`; returns how many there
// are. Lanes without a system of their own repeat the last.
template <class T>
void read_points(const LocalRBF& rbf, const T* points, const int64_t* const* chosen,
                 Room<T>& room) {
  const int dims = rbf.dims();
  for (int l = 0; l < kLanes; ++l) {
    for (int d = 0; d < dims; ++d) {
      // Relative to one sample, the sum stays short.
      const T first = points[chosen[l][0] * dims + d];
      T sum = T(0);
      for (int k = 0; k < rbf.neighbors; ++k) sum += points[chosen[l][k] * dims + d] - first;
      const T origin = first + sum / T(rbf.neighbors), inverse = T(1 / rbf.scale(d));
      for (int k = 0; k < rbf.neighbors; ++k) {
        const T coordinate = points[chosen[l][k] * dims + d] - origin;
        room.points[(k * dims + d) * kLanes + l] = coordinate * inverse;
      }
      room.origin[d * kLanes + l] = origin;
    }
  }
}

// Covariances of `left` with `count` points in a row.
template <Radial kRadial, class T>
ISP_META_VECTORIZED void covariances(const LocalRBF& rbf, const T* left, const T* points, int count,
                                     T* row) {
  const int dims = rbf.dims();
  for (int j = 0; j < count; ++j) {
    square_distance<kLanes>(left, points + j * dims * kLanes, dims, row + j * kLanes);
  }
  for (int x = 0; x < count * kLanes; ++x) row[x] = radial_function(kRadial, row[x]);
  for (int j = 0; rbf.tail > 0 && j < count; ++j) {
    add_tail<kLanes>(T(rbf.tail), left, points + j * dims * kLanes, dims, row + j * kLanes);
  }
}

// Factorizes the matrix and forward-substitutes `right` right-hand sides.
template <Radial kRadial, class T>
ISP_META_VECTORIZED void factorize(const LocalRBF& rbf, Room<T>& room, int right) {
  for (int i = 0; i < rbf.neighbors; ++i) {
    covariances<kRadial>(rbf, room.points + i * rbf.dims() * kLanes, room.points, i + 1,
                         room.matrix + rbf.at(i, 0) * kLanes);
    T* last = room.matrix + rbf.at(i, i) * kLanes;
    for (int l = 0; l < kLanes; ++l) last[l] = diagonal(rbf, last[l]);
  }
  for (int j = 0; j < rbf.neighbors; ++j) {
    for (int i = j; i < rbf.neighbors + right; ++i) eliminate<kLanes>(rbf, room.matrix, i, j);
  }
}

template <class T>
ISP_META_VECTORIZED void substitute(const LocalRBF& rbf, Room<T>& room) {
  for (int v = 0; v < rbf.channels; ++v) {
    for (int i = rbf.neighbors - 1; i >= 0; --i) {
      divide<kLanes>(rbf, room.matrix, v, i);
      take_off<kLanes>(rbf, room.matrix, v, i, 0, i);
    }
  }
}

template <Radial kRadial, int kDims, class T>
ISP_META_VECTORIZED void evaluate(const LocalRBF& rbf, int lane, Room<T>& room, int count) {
  const int dims = kDims ? kDims : rbf.dims();
  const T* __restrict__ pixels = room.pixels;
  T* __restrict__ radial = room.radial;
  for (int v = 0; v < rbf.channels; ++v) {
    T* __restrict__ sums = room.sums + v * kPixels;
    const T* affine = room.affine + v * (dims + 1);
    for (int x = 0; x < count; ++x) sums[x] = affine[0];
    for (int d = 0; rbf.tail > 0 && d < dims; ++d) {
      for (int x = 0; x < count; ++x) sums[x] += affine[d + 1] * pixels[d * kPixels + x];
    }
  }
  for (int k = 0; k < rbf.neighbors; ++k) {
    radial_row<kDims, kPixels>(kRadial, pixels, room.points + k * dims * kLanes + lane, kLanes,
                               dims, radial, count);
    for (int v = 0; v < rbf.channels; ++v) {
      const T weight = room.matrix[rbf.at(rbf.neighbors + v, k) * kLanes + lane];
      T* __restrict__ sums = room.sums + v * kPixels;
      for (int x = 0; x < count; ++x) sums[x] += weight * radial[x];
    }
  }
}

constexpr int padded(int count) { return (count + kLanes - 1) / kLanes * kLanes; }

// Of two runs that zeros fill up to whole lanes.
template <class T>
ISP_META_VECTORIZED T dot(const T* __restrict__ left, const T* __restrict__ right, int count) {
  T sums[kLanes] = {}, sum = T(0);
  for (int x = 0; x < count; x += kLanes) {
    for (int l = 0; l < kLanes; ++l) sums[l] += left[x + l] * right[x + l];
  }
  for (const T lane : sums) sum += lane;
  return sum;
}

// Adds to the right-hand sides what the gradient in room.sums gives to the weights.
template <Radial kRadial, int kDims, class T>
ISP_META_VECTORIZED void correlate_pixels(const LocalRBF& rbf, int lane, Room<T>& room, int count) {
  const int dims = kDims ? kDims : rbf.dims();
  for (int k = 0; k < rbf.neighbors; ++k) {
    const T* point = room.points + k * dims * kLanes + lane;
    radial_row<kDims, kPixels>(kRadial, room.pixels, point, kLanes, dims, room.radial, count);
    std::fill(room.radial + count, room.radial + padded(count), T(0));
    if (rbf.tail > 0) {
      for (int x = 0; x < count; ++x) {
        T product = T(1);
        for (int d = 0; d < dims; ++d) product += room.pixels[d * kPixels + x] * point[d * kLanes];
        room.radial[x] += T(rbf.tail) * product;
      }
    }
    for (int v = 0; v < rbf.channels; ++v) {
      room.matrix[rbf.at(rbf.neighbors + v, k) * kLanes + lane] +=
          dot(room.sums + v * kPixels, room.radial, count);
    }
  }
}

// Calls run(offset, rows, columns) for parts of a block, none of more than kPixels pixels.
template <class F>
void for_parts(Grid grid, int by, int bx, const F& run) {
  const int bottom = grid.end_y(by), right = grid.end_x(bx);
  const int columns = std::min(right - grid.begin(bx), kPixels), rows = kPixels / columns;
  for (int y = grid.begin(by); y < bottom; y += rows) {
    for (int x = grid.begin(bx); x < right; x += columns) {
      run(y, x, std::min(rows, bottom - y), std::min(columns, right - x));
    }
  }
}

// Coordinates of a part's pixels, as the systems see them.
template <class T>
void read_pixels(const LocalRBF& rbf, const T* guide, int lane, int top, int left, int rows,
                 int columns, Room<T>& room) {
  for (int d = 0; d < rbf.dims(); ++d) {
    const T origin = room.origin[d * kLanes + lane], inverse = T(1 / rbf.scale(d));
    T* to = room.pixels + d * kPixels;
    for (int y = top; y < top + rows; ++y) {
      const T* from = guide + (d - 2) * rbf.grid.pixels() + int64_t(y) * rbf.grid.width;
      for (int x = left; x < left + columns; ++x) {
        const T coordinate = d == 0 ? T(y) : d == 1 ? T(x) : from[x];
        *to++ = (coordinate - origin) * inverse;
      }
    }
  }
}

// Calls move(pixel, sum) for every pixel of a part and its place in room.sums.
template <class P, class T, class F>
void for_sums(const LocalRBF& rbf, P* picture, int top, int left, int rows, int columns,
              Room<T>& room, const F& move) {
  for (int v = 0; v < rbf.channels; ++v) {
    T* sum = room.sums + v * kPixels;
    for (int y = top; y < top + rows; ++y) {
      P* line = picture + v * rbf.grid.pixels() + int64_t(y) * rbf.grid.width;
      for (int x = left; x < left + columns; ++x) move(line[x], *sum++);
    }
  }
}

// Calls run(bx, count, chosen) along a row of cells, `count` of them from bx, whose samples stand
// at `chosen`.
template <class F>
void for_lanes(Grid grid, const int64_t* neighbors, int size, int by, const F& run) {
  const int cols = grid.cols();
  const int64_t* chosen[kLanes];
  for (int bx = 0; bx < cols; bx += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      chosen[l] = neighbors + (int64_t(by) * cols + std::min(bx + l, cols - 1)) * size;
    }
    run(bx, std::min(kLanes, cols - bx), chosen);
  }
}

template <Radial kRadial, int kDims, class T>
void interpolate_row(const LocalRBF& rbf, const T* guide, const T* points, const T* values,
                     const int64_t* neighbors, T* pixels, int by, Room<T>& room) {
  for_lanes(rbf.grid, neighbors, rbf.neighbors, by, [&](int bx, int count, const auto& chosen) {
    read_points(rbf, points, chosen, room);
    for (int i = 0; i < rbf.channels * rbf.neighbors; ++i) {
      const int v = i / rbf.neighbors, k = i % rbf.neighbors;
      T* to = room.matrix + rbf.at(rbf.neighbors + v, k) * kLanes;
      for (int l = 0; l < kLanes; ++l) to[l] = values[chosen[l][k] * rbf.channels + v];
    }
    factorize<kRadial>(rbf, room, rbf.channels);
    substitute(rbf, room);
    for (int lane = 0; lane < count; ++lane) {
      for (int i = 0; i < rbf.channels * (rbf.dims() + 1); ++i) {
        room.affine[i] = tail_coefficient<kLanes>(rbf, room.points + lane, room.matrix + lane,
                                                  i / (rbf.dims() + 1), i % (rbf.dims() + 1));
      }
      for_parts(rbf.grid, by, bx + lane, [&](int top, int left, int rows, int columns) {
        read_pixels(rbf, guide, lane, top, left, rows, columns, room);
        evaluate<kRadial, kDims>(rbf, lane, room, rows * columns);
        for_sums(rbf, pixels, top, left, rows, columns, room, [](T& to, T sum) { to = sum; });
      });
    }
  });
}

template <Radial kRadial, int kDims, class T>
void adjoint_row(const LocalRBF& rbf, const T* grad, const T* guide, const T* points,
                 const int64_t* neighbors, T* parts, int by, Room<T>& room) {
  for_lanes(rbf.grid, neighbors, rbf.neighbors, by, [&](int bx, int count, const auto& chosen) {
    read_points(rbf, points, chosen, room);
    T* right = room.matrix + rbf.triangle() * kLanes;
    std::fill_n(right, size_t(rbf.channels) * rbf.neighbors * kLanes, T(0));
    for (int lane = 0; lane < count; ++lane) {
      for_parts(rbf.grid, by, bx + lane, [&](int top, int left, int rows, int columns) {
        read_pixels(rbf, guide, lane, top, left, rows, columns, room);
        std::fill_n(room.sums, rbf.channels * kPixels, T(0));
        for_sums(rbf, grad, top, left, rows, columns, room, [](T from, T& sum) { sum = from; });
        correlate_pixels<kRadial, kDims>(rbf, lane, room, rows * columns);
      });
    }
    factorize<kRadial>(rbf, room, rbf.channels);
    substitute(rbf, room);
    for (int lane = 0; lane < count; ++lane) {
      T* to = parts + (chosen[lane] - neighbors) * rbf.channels;
      for (int k = 0; k < rbf.neighbors; ++k) {
        for (int v = 0; v < rbf.channels; ++v) {
          *to++ = room.matrix[rbf.at(rbf.neighbors + v, k) * kLanes + lane];
        }
      }
    }
  });
}

// The sample left out stands below as one more right-hand side, its covariances with the others:
// l = L^-1 c and y = L^-1 v give its prediction, c (C + ridge I)^-1 v = l . y.
template <Radial kRadial, class T>
void leave_out(const LocalRBF& rbf, const T* points, const T* values, const int64_t* const* chosen,
               int count, T* predictions, Room<T>& room) {
  const int64_t* others[kLanes];
  for (int l = 0; l < kLanes; ++l) others[l] = chosen[l] + 1;
  read_points(rbf, points, others, room);
  for (int d = 0; d < rbf.dims(); ++d) {
    for (int l = 0; l < kLanes; ++l) {
      const T coordinate = points[chosen[l][0] * rbf.dims() + d] - room.origin[d * kLanes + l];
      room.pixels[d * kLanes + l] = coordinate * T(1 / rbf.scale(d));
    }
  }
  T* left_out = room.matrix + rbf.at(rbf.neighbors + rbf.channels, 0) * kLanes;
  covariances<kRadial>(rbf, room.pixels, room.points, rbf.neighbors, left_out);
  for (int k = 0; k < rbf.neighbors; ++k) {
    for (int v = 0; v < rbf.channels; ++v) {
      T* to = room.matrix + rbf.at(rbf.neighbors + v, k) * kLanes;
      for (int l = 0; l < kLanes; ++l) to[l] = values[others[l][k] * rbf.channels + v];
    }
  }
  factorize<kRadial>(rbf, room, rbf.channels + 1);
  for (int v = 0; v < rbf.channels; ++v) {
    const T* y = room.matrix + rbf.at(rbf.neighbors + v, 0) * kLanes;
    T sums[kLanes] = {};
    for (int k = 0; k < rbf.neighbors * kLanes; k += kLanes) {
      for (int l = 0; l < kLanes; ++l) sums[l] += left_out[k + l] * y[k + l];
    }
    for (int l = 0; l < count; ++l) predictions[l * rbf.channels + v] = sums[l];
  }
}

}  // namespace isp_meta

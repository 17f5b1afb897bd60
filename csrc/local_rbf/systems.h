// How the CPU goes through systems and pixels: as many systems at a time as a vector has lanes,
// then each one's pixels.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>

#include "local_rbf/room.h"

namespace isp_meta {

// Calls run(first, count, room) for all systems, in parallel: for `count` of them from `first` on,
// the `size` neighbors of each at room.chosen. Lanes without a system of their own repeat the last.
template <class T, class F>
void for_systems(const LocalRBF& rbf, int64_t systems, const int64_t* neighbors, int size,
                 int right, const F& run) {
  const int lanes = Room<T>::lanes();
  torch::stable::parallel_for(0, (systems + lanes - 1) / lanes, 1, [&](int64_t begin, int64_t end) {
    Room<T> room(rbf, right);
    for (int64_t first = begin * lanes; first < std::min(end * lanes, systems); first += lanes) {
      for (int l = 0; l < lanes; ++l) {
        room.chosen[l] = neighbors + std::min(first + l, systems - 1) * size;
      }
      run(first, int(std::min<int64_t>(lanes, systems - first)), room);
    }
  });
}

// Fills origin, points and right-hand sides with the chosen samples.
template <class T>
void read_samples(const LocalRBF& rbf, const T* points, const T* values, Room<T>& room) {
  const int dims = rbf.dims(), lanes = room.lanes();
  for (int l = 0; l < lanes; ++l) {
    const int64_t* chosen = room.chosen[l];
    for (int d = 0; d < dims; ++d) {
      const T origin = mean_coordinate(rbf, points, d, [&](int k) { return chosen[k]; });
      const T per_scale = rbf.per_scale<T>(d);
      room.origin[d * lanes + l] = origin;
      for (int k = 0; k < rbf.neighbors; ++k) {
        room.points[(k * dims + d) * lanes + l] =
            (points[chosen[k] * dims + d] - origin) * per_scale;
      }
    }
    T* to = room.matrix + rbf.triangle() * lanes + l;
    for (int v = 0; v < rbf.channels; ++v) {
      for (int k = 0; k < rbf.neighbors; ++k, to += lanes) {
        *to = values[chosen[k] * rbf.channels + v];
      }
    }
  }
}

// Calls run(y, x, rows, columns) for parts of a block, none of more than kPixels pixels.
template <class F>
void for_parts(Grid grid, Cell cell, const F& run) {
  const int bottom = grid.end_y(cell.y), right = grid.end_x(cell.x);
  const int columns = std::min(right - grid.begin(cell.x), kPixels), rows = kPixels / columns;
  for (int y = grid.begin(cell.y); y < bottom; y += rows) {
    for (int x = grid.begin(cell.x); x < right; x += columns) {
      run(y, x, std::min(rows, bottom - y), std::min(columns, right - x));
    }
  }
}

// A block's pixels, from the weights of its system.
template <class T>
void fill_block(const LocalRBF& rbf, const T* guide, T* pixels, Cell cell, int lane,
                Room<T>& room) {
  const int dims = rbf.dims(), lanes = room.lanes();
  for (int i = 0; i < rbf.channels * (dims + 1); ++i) {
    room.affine[i] = tail_coefficient(rbf, room.points + lane, room.matrix + lane, lanes,
                                      i / (dims + 1), i % (dims + 1));
  }
  for_parts(rbf.grid, cell, [&](int top, int left, int rows, int columns) {
    for (int d = 0; d < dims; ++d) {
      const T origin = room.origin[d * lanes + lane];
      T* to = room.pixels + d * kPixels;
      for (int y = top; y < top + rows; ++y) {
        for (int x = left; x < left + columns; ++x) {
          *to++ = pixel_coordinate(rbf, guide, y, x, d, origin);
        }
      }
    }
    ISP_META_FASTEST(evaluate<T>)(rbf, room, lane, rows * columns);
    for (int v = 0; v < rbf.channels; ++v) {
      const T* from = room.sums + v * kPixels;
      for (int y = top; y < top + rows; ++y, from += columns) {
        T* line = pixels + v * rbf.grid.pixels() + int64_t(y) * rbf.grid.width;
        std::copy_n(from, columns, line + left);
      }
    }
  });
}

template <class T>
void interpolate(const LocalRBF& rbf, const T* guide, const T* points, const T* values,
                 const int64_t* neighbors, T* pixels, int64_t batch) {
  const Grid grid = rbf.grid;
  for_systems<T>(rbf, batch * grid.cells(), neighbors, rbf.neighbors, rbf.channels,
                 [&](int64_t first, int count, Room<T>& room) {
                   read_samples(rbf, points, values, room);
                   ISP_META_FASTEST(factorize<T>)(rbf, room, rbf.channels);
                   ISP_META_FASTEST(substitute<T>)(rbf, room);
                   for (int l = 0; l < count; ++l) {
                     const Cell cell(grid, first + l);
                     fill_block(rbf, guide + cell.batch * rbf.guides * grid.pixels(),
                                pixels + cell.batch * rbf.channels * grid.pixels(), cell, l, room);
                   }
                 });
}

// The sample left out, the first of a system's neighbors, stands below as one more right-hand side,
// its covariances with the others: l = L^-1 c and y = L^-1 v give its prediction,
// c (C + ridge I)^-1 v = l . y.
template <class T>
void leave_one_out(const LocalRBF& rbf, const T* points, const T* values, const int64_t* neighbors,
                   T* predictions, int64_t systems) {
  const int dims = rbf.dims(), lanes = Room<T>::lanes(), right = rbf.channels + 1;
  const auto run = [&](int64_t first, int count, Room<T>& room) {
    read_samples(rbf, points, values, room);
    for (int d = 0; d < dims; ++d) {
      for (int l = 0; l < lanes; ++l) {
        const T coordinate = points[room.chosen[l][-1] * dims + d] - room.origin[d * lanes + l];
        room.pixels[d * lanes + l] = coordinate * rbf.per_scale<T>(d);
      }
    }
    ISP_META_FASTEST(add_left_out<T>)(rbf, room, rbf.neighbors + rbf.channels);
    ISP_META_FASTEST(factorize<T>)(rbf, room, right);
    const T* left_out = room.matrix + rbf.at(rbf.neighbors + rbf.channels, 0) * lanes;
    for (int v = 0; v < rbf.channels; ++v) {
      const T* y = room.matrix + rbf.at(rbf.neighbors + v, 0) * lanes;
      T sums[std::size(room.chosen)] = {};
      for (int k = 0; k < rbf.neighbors * lanes; k += lanes) {
        for (int l = 0; l < lanes; ++l) sums[l] += left_out[k + l] * y[k + l];
      }
      for (int l = 0; l < count; ++l) predictions[(first + l) * rbf.channels + v] = sums[l];
    }
  };
  for_systems<T>(rbf, systems, neighbors + 1, rbf.neighbors + 1, right, run);
}

}  // namespace isp_meta

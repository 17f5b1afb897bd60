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
                 int right, int met, const F& run) {
  const int lanes = Room<T>::lanes();
  torch::stable::parallel_for(0, (systems + lanes - 1) / lanes, 1, [&](int64_t begin, int64_t end) {
    Room<T> room(rbf, right, met);
    for (int64_t first = begin * lanes; first < std::min(end * lanes, systems); first += lanes) {
      for (int l = 0; l < lanes; ++l) {
        room.chosen[l] = neighbors + std::min(first + l, systems - 1) * size;
      }
      run(first, int(std::min<int64_t>(lanes, systems - first)), room);
    }
  });
}

// Fills origin and points with the chosen samples.
template <class T>
void read_points(const LocalRBF& rbf, const T* points, Room<T>& room) {
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
  }
}

// Fills the right-hand sides with them.
template <class T>
void read_values(const LocalRBF& rbf, const T* values, Room<T>& room) {
  const int lanes = room.lanes();
  for (int l = 0; l < lanes; ++l) {
    const int64_t* chosen = room.chosen[l];
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

// A part of a block, row by row, from or to a plane of the picture.
template <class T, class F>
void for_rows(Grid grid, int top, int left, int rows, int columns, T* plane, const F& run) {
  for (int y = 0; y < rows; ++y) run(plane + int64_t(top + y) * grid.width + left, y * columns);
}

// Fills room.sums with what its system has for a block's pixels, part by part, then calls
// run(top, left, rows, columns).
template <class T, class F>
void evaluate_block(const LocalRBF& rbf, const T* guide, Cell cell, int lane, Room<T>& room,
                    const F& run) {
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
    run(top, left, rows, columns);
  });
}

template <class T>
void interpolate(const LocalRBF& rbf, const T* guide, const T* points, const T* values,
                 const int64_t* neighbors, T* pixels, int64_t batch) {
  const Grid grid = rbf.grid;
  for_systems<T>(
      rbf, batch * grid.cells(), neighbors, rbf.neighbors, rbf.channels, 0,
      [&](int64_t first, int count, Room<T>& room) {
        read_points(rbf, points, room);
        read_values(rbf, values, room);
        ISP_META_FASTEST(factorize<T>)(rbf, room, rbf.channels);
        ISP_META_FASTEST(substitute<T>)(rbf, room);
        for (int l = 0; l < count; ++l) {
          const Cell cell(grid, first + l);
          const T* const around = guide + cell.batch * rbf.guides * grid.pixels();
          T* const to = pixels + cell.batch * rbf.channels * grid.pixels();
          evaluate_block(rbf, around, cell, l, room, [&](int top, int left, int rows, int columns) {
            for (int v = 0; v < rbf.channels; ++v) {
              const T* const from = room.sums + v * kPixels;
              for_rows(grid, top, left, rows, columns, to + v * grid.pixels(),
                       [&](T* line, int at) { std::copy_n(from + at, columns, line); });
            }
          });
        }
      });
}

// The equations of one lane's system, whose right-hand sides were the unit matrix: so its sums are
// what each sample adds.
template <class T>
void equations_of(const LocalRBF& rbf, const T* guide, const Met<T>& met, Cell cell, int lane,
                  Room<T>& room, T* to) {
  const Grid grid = rbf.grid;
  const int64_t* const chosen = room.chosen[lane];
  const int columns = rbf.neighbors + met.colors, colors = met.colors;
  for (int k = 0; k < rbf.neighbors; ++k) {
    std::copy_n(met.now + chosen[k] * colors, colors, room.now + k * colors);
  }
  std::fill_n(room.normal, rbf.neighbors * columns, T(0));
  evaluate_block(rbf, guide + cell.batch * rbf.guides * grid.pixels(), cell, lane, room,
                 [&](int top, int left, int rows, int columns) {
                   const auto read = [&](const T* from, int64_t plane, T* part) {
                     for_rows(
                         grid, top, left, rows, columns, from + plane * grid.pixels(),
                         [&](const T* line, int at) { std::copy_n(line, columns, part + at); });
                   };
                   for (int v = 0; v < colors; ++v) {
                     read(met.guess, cell.batch * colors + v, room.guess + v * kPixels);
                     read(met.truth, cell.batch * colors + v, room.truth + v * kPixels);
                   }
                   // What lies beyond the part, in the last vector, weighs nothing.
                   std::fill_n(room.weight, kPixels, T(0));
                   if (met.weight) {
                     read(met.weight, cell.batch, room.weight);
                   } else {
                     std::fill_n(room.weight, rows * columns, T(1));
                   }
                   ISP_META_FASTEST(add_equations<T>)(rbf, room, colors, rows * columns);
                 });
  std::copy_n(room.normal, rbf.neighbors * columns, to);
}

template <class T>
void normal_equations(const LocalRBF& rbf, const T* guide, const T* points, const Met<T>& met,
                      const int64_t* neighbors, T* equations, int64_t batch) {
  const int64_t systems = batch * rbf.grid.cells();
  const int64_t size = int64_t(rbf.neighbors) * (rbf.neighbors + met.colors);
  for_systems<T>(rbf, systems, neighbors, rbf.neighbors, rbf.neighbors, met.colors,
                 [&](int64_t first, int count, Room<T>& room) {
                   read_points(rbf, points, room);
                   const int lanes = room.lanes(), unknowns = rbf.neighbors;
                   T* const right = room.matrix + rbf.triangle() * lanes;
                   for (int i = 0; i < unknowns * unknowns; ++i) {
                     std::fill_n(right + i * lanes, lanes, T(i % (unknowns + 1) == 0));
                   }
                   ISP_META_FASTEST(factorize<T>)(rbf, room, unknowns);
                   ISP_META_FASTEST(substitute<T>)(rbf, room);
                   for (int l = 0; l < count; ++l) {
                     equations_of(rbf, guide, met, Cell(rbf.grid, first + l), l, room,
                                  equations + (first + l) * size);
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
    read_points(rbf, points, room);
    read_values(rbf, values, room);
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
  for_systems<T>(rbf, systems, neighbors + 1, rbf.neighbors + 1, right, 0, run);
}

}  // namespace isp_meta

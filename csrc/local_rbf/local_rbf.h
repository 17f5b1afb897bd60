// Radial-basis interpolation with one small system a cell, shared by all the cell's pixels.
//
//     f(p) = sum over k of c(x_p, x_k) w_k,    (C + ridge I) w = v,    C_jk = c(x_j, x_k)
//     c(x, y) = phi(|x - y|) + tail (1 + x . y)
//
// x: position and guide, each over its scale, relative to the mean of the system's samples. The
// tail is a Gaussian prior on the coefficients of an affine function, so the matrix stays positive
// definite wherever samples coincide. Its Cholesky factor L is stored row by row, with 1 / L(i, i)
// on the diagonal. Right-hand sides stand below as further rows: what eliminates an entry of the
// matrix solves L y = v as well.
//
// A of the formulas is a number of one system on a GPU. On the CPU it is those of several systems,
// side by side in a vector; or of several pixels of one system.
#pragma once

#include "dtype.h"
#include "grid.h"
#include "number.h"

namespace isp_meta {

// In double precision their systems are 76 KB, which any GPU's shared memory holds.
constexpr int kMostNeighbors = 96, kMostDims = 18, kMostChannels = 16;

enum class Radial : int { kExponential, kRational };

struct LocalRBF {
  Grid grid;
  int guides, neighbors, channels;
  int64_t samples;
  double per_position, per_guide, tail, ridge;
  Radial radial;

  ISP_META_HD int dims() const { return 2 + guides; }
  ISP_META_HD int triangle() const { return neighbors * (neighbors + 1) / 2; }
  // Entry (i, j) of the matrix, j <= i, or from i = neighbors on of a right-hand side.
  ISP_META_HD int at(int i, int j) const {
    return i < neighbors ? i * (i + 1) / 2 + j : triangle() + (i - neighbors) * neighbors + j;
  }
  ISP_META_HD int entries(int right) const { return triangle() + right * neighbors; }

  // Factor of coordinate d.
  template <class A>
  ISP_META_HD A per_scale(int d) const {
    return A(d < 2 ? per_position : per_guide);
  }
};

// Coordinates of a point, `step` apart.
template <class A>
struct Point {
  const A* first;
  int step;

  ISP_META_HD const A& operator[](int d) const { return first[d * step]; }
};

// phi of the squared distance; both kinds are positive definite.
template <class A>
ISP_META_HD A radial_function(Radial radial, A squared) {
  if (radial == Radial::kRational) return 1 / (1 + squared);
  return exp_nonpositive(-square_root(squared));
}

template <class A, class B>
ISP_META_HD A square_distance(Point<A> x, Point<B> y, int dims) {
  A sum{};
  for (int d = 0; d < dims; ++d) sum += (x[d] - y[d]) * (x[d] - y[d]);
  return sum;
}

template <class A>
ISP_META_HD A covariance(const LocalRBF& rbf, Point<A> x, Point<A> y) {
  const A value = radial_function(rbf.radial, square_distance(x, y, rbf.dims()));
  if (!(rbf.tail > 0)) return value;
  A tail = A{} + Element<A>(1);
  for (int d = 0; d < rbf.dims(); ++d) tail += x[d] * y[d];
  return value + Element<A>(rbf.tail) * tail;
}

// Coordinate d of a system's origin. sample(k): the index of its sample k.
template <class A, class F>
ISP_META_HD A mean_coordinate(const LocalRBF& rbf, const A* points, int d, const F& sample) {
  // Relative to one sample, the sum stays short.
  const A first = points[sample(0) * rbf.dims() + d];
  A sum = A(0);
  for (int k = 0; k < rbf.neighbors; ++k) sum += points[sample(k) * rbf.dims() + d] - first;
  return first + sum / A(rbf.neighbors);
}

// Coordinate d of a pixel, relative to the origin's.
template <class A, class T>
ISP_META_HD A pixel_coordinate(const LocalRBF& rbf, const T* guide, int y, int x, int d, A origin) {
  const A coordinate =
      d == 0   ? A(y)
      : d == 1 ? A(x)
               : A(guide[(d - 2) * rbf.grid.pixels() + int64_t(y) * rbf.grid.width + x]);
  return (coordinate - origin) * rbf.per_scale<A>(d);
}

// Entry of the matrix's diagonal. A ridge below what rounding takes from the matrix is raised to
// it; elimination would let that noise grow from column to column.
template <class A>
ISP_META_HD A diagonal(const LocalRBF& rbf, A covariance) {
  using E = Element<A>;
  constexpr E epsilon = sizeof(E) == 4 ? E(0x1p-23) : E(0x1p-52);
  const A ridge = A{} + E(rbf.ridge), rounding = covariance * epsilon * E(rbf.neighbors);
  return covariance + (ridge < rounding ? rounding : ridge);
}

// Entries (i, j) to (i + kRows - 1, j) of the matrix, less what the columns before j account for.
// Several rows at once do not wait for each other's sums.
template <int kRows, class A>
ISP_META_HD void remainders(const LocalRBF& rbf, const A* matrix, int i, int j, A* rest) {
  const A *rows[kRows], *above = matrix + rbf.at(j, 0);
  for (int r = 0; r < kRows; ++r) {
    rows[r] = matrix + rbf.at(i + r, 0);
    rest[r] = rows[r][j];
  }
  for (int k = 0; k < j; ++k) {
    for (int r = 0; r < kRows; ++r) rest[r] -= rows[r][k] * above[k];
  }
}

// 1 / the factor's entry of a diagonal, from what is left of the matrix's.
template <class A>
ISP_META_HD A pivot(const LocalRBF& rbf, A rest) {
  const A ridge = A{} + Element<A>(rbf.ridge);
  return 1 / square_root(rest < ridge ? ridge : rest);
}

// Turns entry (j, j) of the matrix into it, given the columns before.
template <class A>
ISP_META_HD void eliminate_pivot(const LocalRBF& rbf, A* matrix, int j) {
  A rest;
  remainders<1>(rbf, matrix, j, j, &rest);
  matrix[rbf.at(j, j)] = pivot(rbf, rest);
}

// Turns entries below it into those of the factor.
template <int kRows, class A>
ISP_META_HD void eliminate(const LocalRBF& rbf, A* matrix, int i, int j) {
  A rest[kRows];
  remainders<kRows>(rbf, matrix, i, j, rest);
  for (int r = 0; r < kRows; ++r) matrix[rbf.at(i + r, j)] = rest[r] * matrix[rbf.at(j, j)];
}

// Unknown i of a right-hand side that has become y: w(i), once those after it are taken off.
template <class A>
ISP_META_HD void divide(const LocalRBF& rbf, A* matrix, int right, int i) {
  matrix[rbf.at(rbf.neighbors + right, i)] *= matrix[rbf.at(i, i)];
}

// Takes unknown i, which is w, off the equation of unknown k, which is before it.
template <class A>
ISP_META_HD void take_off(const LocalRBF& rbf, A* matrix, int right, int i, int k, A w) {
  matrix[rbf.at(rbf.neighbors + right, k)] -= matrix[rbf.at(i, k)] * w;
}

// Coefficient of the tail: tail * sum over k of w_k, times coordinate d - 1 of x_k where d > 0.
// Numbers of one system lie `step` apart.
template <class A>
ISP_META_HD A tail_coefficient(const LocalRBF& rbf, const A* points, const A* matrix, int step,
                               int right, int d) {
  const A* weights = matrix + rbf.at(rbf.neighbors + right, 0) * step;
  A sum = A(0);
  for (int k = 0; k < rbf.neighbors && rbf.tail > 0; ++k) {
    sum += weights[k * step] * (d > 0 ? points[(k * rbf.dims() + d - 1) * step] : A(1));
  }
  return A(rbf.tail) * sum;
}

// The tail at a pixel, from its coefficients.
template <class A>
ISP_META_HD A tail_value(const LocalRBF& rbf, const Element<A>* coefficients, Point<A> pixel) {
  A sum = A{} + coefficients[0];
  for (int d = 0; rbf.tail > 0 && d < rbf.dims(); ++d) sum += coefficients[d + 1] * pixel[d];
  return sum;
}

// What values of the samples are to make of a picture, and from what: gains, (samples, colors), of
// a guess; guess and truth, (batch, colors, height, width); and how much each pixel counts, or
// null.
template <class T>
struct Met {
  const T *now, *guess, *truth, *weight;
  int colors;
};
using MetTensors = Met<void>;

const char* launch_local_rbf(const Launch& on, const void* guide, const void* points,
                             const void* values, const int64_t* neighbors, void* pixels,
                             int64_t batch, const LocalRBF& rbf);
// equations: (cells, neighbors, neighbors + colors), matrix and right-hand sides.
const char* launch_local_rbf_equations(const Launch& on, const void* guide, const void* points,
                                       const MetTensors& met, const int64_t* neighbors,
                                       void* equations, int64_t batch, const LocalRBF& rbf);
const char* launch_local_rbf_leave_one_out(const Launch& on, const void* points, const void* values,
                                           const int64_t* neighbors, void* predictions,
                                           int64_t systems, const LocalRBF& rbf);

}  // namespace isp_meta

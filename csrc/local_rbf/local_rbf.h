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
// Formulas are for kRun systems side by side: several on the CPU, one on a GPU.
#pragma once

#include <type_traits>

#include "associate/associate.h"

namespace isp_meta {

// What fits a GPU's shared memory.
constexpr int kMostNeighbors = 96, kMostDims = 18, kMostChannels = 16;

enum class Radial : int { kExponential, kRational };

struct LocalRBF {
  Grid grid;
  int guides, neighbors, channels;
  int64_t samples;
  double position_scale, guide_scale, tail, ridge;
  Radial radial;

  ISP_META_HD int dims() const { return 2 + guides; }
  ISP_META_HD int triangle() const { return neighbors * (neighbors + 1) / 2; }
  // Entry (i, j) of the matrix, j <= i, or from i = neighbors on of a right-hand side.
  ISP_META_HD int at(int i, int j) const {
    return i < neighbors ? i * (i + 1) / 2 + j : triangle() + (i - neighbors) * neighbors + j;
  }
  ISP_META_HD int entries(int right) const { return triangle() + right * neighbors; }
  ISP_META_HD double scale(int d) const { return d < 2 ? position_scale : guide_scale; }
};

// Radial functions of the squared distance, both positive definite.
template <class A>
ISP_META_HD A radial_function(Radial radial, A squared) {
  return radial == Radial::kRational ? A(1) / (A(1) + squared)
                                     : exp_nonpositive(-std::sqrt(squared));
}

// Squared distance of two points, coordinates kRun apart.
template <int kRun, class A>
ISP_META_HD void square_distance(const A* left, const A* right, int dims, A* __restrict__ out) {
  A sum[kRun] = {};
  for (int d = 0; d < dims; ++d, left += kRun, right += kRun) {
    for (int l = 0; l < kRun; ++l) sum[l] += (left[l] - right[l]) * (left[l] - right[l]);
  }
  for (int l = 0; l < kRun; ++l) out[l] = sum[l];
}

template <int kRun, class A>
ISP_META_HD void add_tail(A tail, const A* left, const A* right, int dims, A* __restrict__ out) {
  A sum[kRun];
  for (int l = 0; l < kRun; ++l) sum[l] = A(1);
  for (int d = 0; d < dims; ++d, left += kRun, right += kRun) {
    for (int l = 0; l < kRun; ++l) sum[l] += left[l] * right[l];
  }
  for (int l = 0; l < kRun; ++l) out[l] += tail * sum[l];
}

// Entry of the matrix's diagonal. A ridge below what rounding takes from the matrix is raised to
// it; elimination would let that noise grow from column to column.
template <class A>
ISP_META_HD A diagonal(const LocalRBF& rbf, A covariance) {
  constexpr A epsilon = std::is_same_v<A, float> ? A(0x1p-23) : A(0x1p-52);
  const A ridge = A(rbf.ridge), rounding = covariance * epsilon * A(rbf.neighbors);
  return covariance + (ridge < rounding ? rounding : ridge);
}

// Turns entry (i, j) of the matrix into that of its factor, given the columns before and, below
// the diagonal, the pivot (j, j).
template <int kRun, class A>
ISP_META_HD void eliminate(const LocalRBF& rbf, A* matrix, int i, int j) {
  A* __restrict__ entry = matrix + rbf.at(i, j) * kRun;
  const A* row = matrix + rbf.at(i, 0) * kRun;
  const A* above = matrix + rbf.at(j, 0) * kRun;
  A rest[kRun];
  for (int l = 0; l < kRun; ++l) rest[l] = entry[l];
  for (int k = 0; k < j; ++k, row += kRun, above += kRun) {
    for (int l = 0; l < kRun; ++l) rest[l] -= row[l] * above[l];
  }
  if (i > j) {
    for (int l = 0; l < kRun; ++l) entry[l] = rest[l] * above[l];
    return;
  }
  const A ridge = A(rbf.ridge);
  for (int l = 0; l < kRun; ++l) rest[l] = rest[l] < ridge ? ridge : rest[l];
  for (int l = 0; l < kRun; ++l) entry[l] = A(1) / std::sqrt(rest[l]);
}

// Unknown i of a right-hand side that has become y: w(i), once those after it are taken off.
template <int kRun, class A>
ISP_META_HD void divide(const LocalRBF& rbf, A* matrix, int right, int i) {
  A* __restrict__ y = matrix + rbf.at(rbf.neighbors + right, i) * kRun;
  const A* pivot = matrix + rbf.at(i, i) * kRun;
  for (int l = 0; l < kRun; ++l) y[l] *= pivot[l];
}

// Takes unknown i off the equations [begin, end) of those before it.
template <int kRun, class A>
ISP_META_HD void take_off(const LocalRBF& rbf, A* matrix, int right, int i, int begin, int end) {
  A* __restrict__ y = matrix + rbf.at(rbf.neighbors + right, begin) * kRun;
  const A* unknown = matrix + rbf.at(rbf.neighbors + right, i) * kRun;
  const A* factor = matrix + rbf.at(i, begin) * kRun;
  A w[kRun];
  for (int l = 0; l < kRun; ++l) w[l] = unknown[l];
  for (int k = begin; k < end; ++k, y += kRun, factor += kRun) {
    for (int l = 0; l < kRun; ++l) y[l] -= factor[l] * w[l];
  }
}

// Coefficient of the tail: tail * sum over k of w_k, times coordinate d - 1 of x_k where d > 0.
// Points and weights of one system lie kRun apart.
template <int kRun, class A>
ISP_META_HD A tail_coefficient(const LocalRBF& rbf, const A* points, const A* matrix, int right,
                               int d) {
  const A* weights = matrix + rbf.at(rbf.neighbors + right, 0) * kRun;
  A sum = A(0);
  for (int k = 0; k < rbf.neighbors && rbf.tail > 0; ++k) {
    sum += weights[k * kRun] * (d > 0 ? points[(k * rbf.dims() + d - 1) * kRun] : A(1));
  }
  return A(rbf.tail) * sum;
}

// Radial functions between a point, coordinates `stride` apart, and a run of pixels, kRun apart.
// A number of dimensions known in advance keeps the sums in registers; kDims 0 takes `dims`.
template <int kDims, int kRun, class A>
ISP_META_HD void radial_row(Radial radial, const A* __restrict__ pixels,
                            const A* __restrict__ point, int stride, int dims,
                            A* __restrict__ values, int count) {
  if constexpr (kDims > 0) {
    A at[kDims];
    for (int d = 0; d < kDims; ++d) at[d] = point[d * stride];
    for (int64_t x = 0; x < count; ++x) {
      A squared = A(0);
      for (int64_t d = 0; d < kDims; ++d) {
        const A difference = pixels[d * kRun + x] - at[d];
        squared += difference * difference;
      }
      values[x] = radial_function(radial, squared);
    }
  } else {
    for (int x = 0; x < count; ++x) values[x] = A(0);
    for (int d = 0; d < dims; ++d) {
      for (int x = 0; x < count; ++x) {
        const A difference = pixels[d * kRun + x] - point[d * stride];
        values[x] += difference * difference;
      }
    }
    for (int x = 0; x < count; ++x) values[x] = radial_function(radial, values[x]);
  }
}

// Value i of all samples: the sum of what the systems gave it, in their order. Of `count` parts
// those of sample n are order[starts[n]] to order[starts[n + 1] - 1].
template <class A>
ISP_META_HD A gather(const LocalRBF& rbf, const A* parts, const int64_t* order,
                     const int64_t* starts, int64_t count, int64_t i) {
  const int64_t sample = i / rbf.channels, channel = i % rbf.channels;
  A sum = A(0);
  for (int64_t at = starts[sample]; at < starts[sample + 1]; ++at) {
    if (at < 0 || at >= count || order[at] < 0 || order[at] >= count) continue;
    sum += parts[order[at] * rbf.channels + channel];
  }
  return sum;
}

const char* launch_local_rbf(const Launch& on, const void* guide, const void* points,
                             const void* values, const int64_t* neighbors, void* pixels,
                             int64_t batch, const LocalRBF& rbf);
const char* launch_local_rbf_adjoint(const Launch& on, const void* grad, const void* guide,
                                     const void* points, const int64_t* neighbors,
                                     const int64_t* order, const int64_t* starts, void* parts,
                                     void* values, int64_t batch, const LocalRBF& rbf);
const char* launch_local_rbf_leave_one_out(const Launch& on, const void* points, const void* values,
                                           const int64_t* neighbors, void* predictions,
                                           int64_t systems, const LocalRBF& rbf);

}  // namespace isp_meta

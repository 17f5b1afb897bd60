#pragma once

#include "cpu/vector.h"
#include "local_rbf/room.h"
#include "log_gain.h"

namespace isp_meta::ISP_META_ISA {

template <class T>
ISP_META_HD Vector<T>* vectors(T* at) {
  return reinterpret_cast<Vector<T>*>(at);
}

template <class T>
void add_left_out(const LocalRBF& rbf, Room<T>& room, int row) {
  const Vector<T>* const points = vectors(room.points);
  Vector<T>* const to = vectors(room.matrix) + rbf.at(row, 0);
  for (int k = 0; k < rbf.neighbors; ++k) {
    const Point<Vector<T>> x{vectors(room.pixels), 1}, y{points + k * rbf.dims(), 1};
    to[k] = covariance(rbf, x, y);
  }
}

template <class T>
void factorize(const LocalRBF& rbf, Room<T>& room, int right) {
  Vector<T>* const matrix = vectors(room.matrix);
  const Vector<T>* const points = vectors(room.points);
  for (int i = 0; i < rbf.neighbors; ++i) {
    for (int j = 0; j <= i; ++j) {
      const Point<Vector<T>> x{points + i * rbf.dims(), 1}, y{points + j * rbf.dims(), 1};
      const Vector<T> value = covariance(rbf, x, y);
      matrix[rbf.at(i, j)] = i > j ? value : diagonal(rbf, value);
    }
  }
  for (int j = 0; j < rbf.neighbors; ++j) {
    eliminate_pivot(rbf, matrix, j);
    int i = j + 1;
    for (; i + 4 <= rbf.neighbors + right; i += 4) eliminate<4>(rbf, matrix, i, j);
    for (; i < rbf.neighbors + right; ++i) eliminate<1>(rbf, matrix, i, j);
  }
}

template <class T>
void substitute(const LocalRBF& rbf, Room<T>& room) {
  Vector<T>* const matrix = vectors(room.matrix);
  for (int v = 0; v < rbf.channels; ++v) {
    for (int i = rbf.neighbors - 1; i >= 0; --i) {
      divide(rbf, matrix, v, i);
      const Vector<T> w = matrix[rbf.at(rbf.neighbors + v, i)];
      for (int k = 0; k < i; ++k) take_off(rbf, matrix, v, i, k, w);
    }
  }
}

// Adds to the sums what the samples' weights make. What is known in advance stays in registers;
// kDims 0 takes any.
template <Radial kRadial, int kDims, class T>
void add_weighted(const LocalRBF& rbf, Room<T>& room, int lane, int count) {
  const int dims = kDims ? kDims : rbf.dims(), channels = rbf.channels;
  const int stride = rbf.neighbors * kLanes<T>;
  for (int k = 0; k < rbf.neighbors; ++k) {
    T sample[kDims ? kDims : kMostDims];
    for (int d = 0; d < dims; ++d) sample[d] = room.points[(k * dims + d) * kLanes<T> + lane];
    const T* weights = room.matrix + rbf.at(rbf.neighbors, k) * kLanes<T> + lane;
    for (int x = 0; x < count; x += kLanes<T>) {
      const Point<Vector<T>> pixel{vectors(room.pixels + x), kPixels / kLanes<T>};
      const Vector<T> radial =
          radial_function(kRadial, square_distance(pixel, Point<T>{sample, 1}, dims));
      const T* weight = weights;
      for (int v = 0; v < channels; ++v, weight += stride) {
        *vectors(room.sums + v * kPixels + x) += *weight * radial;
      }
    }
  }
}

// Colors alone, and colors with two further guides, are worth their own code.
template <Radial kRadial, class T>
void add_weighted(const LocalRBF& rbf, Room<T>& room, int lane, int count) {
  if (rbf.dims() == 5) return add_weighted<kRadial, 5>(rbf, room, lane, count);
  if (rbf.dims() == 7) return add_weighted<kRadial, 7>(rbf, room, lane, count);
  return add_weighted<kRadial, 0>(rbf, room, lane, count);
}

template <class T>
void evaluate(const LocalRBF& rbf, Room<T>& room, int lane, int count) {
  for (int v = 0; v < rbf.channels; ++v) {
    for (int x = 0; x < count; x += kLanes<T>) {
      const Point<Vector<T>> pixel{vectors(room.pixels + x), kPixels / kLanes<T>};
      const T* coefficients = room.affine + v * (rbf.dims() + 1);
      *vectors(room.sums + v * kPixels + x) = tail_value(rbf, coefficients, pixel);
    }
  }
  if (rbf.radial == Radial::kRational) {
    add_weighted<Radial::kRational>(rbf, room, lane, count);
  } else {
    add_weighted<Radial::kExponential>(rbf, room, lane, count);
  }
}

// Turns truth into the gains that would meet it, and weight into that of the pixel. What does not
// count may hold anything, and becomes 0.
template <class T>
void linearize(const LocalRBF& rbf, Room<T>& room, int met, int x) {
  Vector<T>* const weight = vectors(room.weight + x);
  const auto counts = *weight > 0;
  Vector<T> squares = {};
  for (int v = 0; v < met; ++v) {
    Vector<T> gain = {};
    for (int k = 0; k < rbf.neighbors; ++k) {
      gain += room.now[k * met + v] * *vectors(room.sums + k * kPixels + x);
    }
    Vector<T> square;
    Vector<T>* const truth = vectors(room.truth + v * kPixels + x);
    gain = linearized(gain, *vectors(room.guess + v * kPixels + x), *truth, square);
    *truth = counts ? gain : Vector<T>{};
    squares += square;
  }
  *weight = counts ? *weight * squares / T(met) : Vector<T>{};
}

template <class T>
void add_equations(const LocalRBF& rbf, Room<T>& room, int met, int count) {
  for (int x = 0; x < count; x += kLanes<T>) linearize(rbf, room, met, x);
  const int neighbors = rbf.neighbors, columns = neighbors + met;
  for (int i = 0; i < neighbors; ++i) {
    const Vector<T>* const own = vectors(room.sums + i * kPixels);
    // Several columns at once, whose sums then share their folding.
    for (int first = 0; first < columns; first += kLanes<T>) {
      const Vector<T>* column[kLanes<T>];
      for (int l = 0; l < kLanes<T>; ++l) {
        const int j = first + l < columns ? first + l : columns - 1;
        column[l] =
            vectors((j < neighbors ? room.sums : room.truth - neighbors * kPixels) + j * kPixels);
      }
      Vector<T> sums[kLanes<T>] = {};
      for (int x = 0; x < (count + kLanes<T> - 1) / kLanes<T>; ++x) {
        const Vector<T> weighted = own[x] * vectors(room.weight)[x];
        for (int l = 0; l < kLanes<T>; ++l) sums[l] += weighted * column[l][x];
      }
      T* const to = room.normal + i * columns + first;
      const int rest = least(kLanes<T>, columns - first);
      store(to, load(to, rest) + fold_lanes<T>(sums, Sum{}), rest);
    }
  }
}

template void add_left_out(const LocalRBF&, Room<float>&, int);
template void add_left_out(const LocalRBF&, Room<double>&, int);
template void factorize(const LocalRBF&, Room<float>&, int);
template void factorize(const LocalRBF&, Room<double>&, int);
template void substitute(const LocalRBF&, Room<float>&);
template void substitute(const LocalRBF&, Room<double>&);
template void evaluate(const LocalRBF&, Room<float>&, int, int);
template void evaluate(const LocalRBF&, Room<double>&, int, int);
template void add_equations(const LocalRBF&, Room<float>&, int, int);
template void add_equations(const LocalRBF&, Room<double>&, int, int);

}  // namespace isp_meta::ISP_META_ISA

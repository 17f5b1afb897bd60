// What a CPU thread works in, and the loops over it, which are compiled for each instruction set:
// systems side by side, one in each lane of a vector.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>

#include "cpu/dispatch.h"
#include "local_rbf/local_rbf.h"

namespace isp_meta {

// Pixels of one cell that are evaluated at once.
constexpr int kPixels = 256;

template <class T>
struct Room {
  // As many systems as a vector has lanes.
  static int lanes() { return ISP_META_FASTEST(kVectorBytes) / int(sizeof(T)); }

  const int64_t* chosen[avx2::kVectorBytes / sizeof(T)];  // the samples of each lane's system
  // Entry e of system l, of its origin, points or matrix, is at [e * lanes() + l]; of one system at
  // a time are affine, by channels, and pixels and sums, kPixels a coordinate or channel.
  T *origin, *points, *matrix, *affine, *pixels, *sums;
  // Of one system, whose equations are put together: what its samples are now; guess, truth and
  // weight, kPixels a color each; and the equations, row by row.
  T *now, *guess, *truth, *weight, *normal;

  // `met`: colors that equations are to meet; none where there are to be no equations.
  Room(const LocalRBF& rbf, int right, int met = 0) {
    const size_t dims = rbf.dims(), channels = rbf.channels, lanes = Room::lanes();
    const size_t sizes[] = {dims * lanes,
                            dims * lanes * rbf.neighbors,
                            size_t(rbf.entries(right)) * lanes,
                            channels * (dims + 1),
                            dims * kPixels,
                            channels * kPixels,
                            size_t(met) * rbf.neighbors,
                            size_t(met) * kPixels,
                            size_t(met) * kPixels,
                            size_t(met ? kPixels : 0),
                            size_t(met ? rbf.neighbors * (rbf.neighbors + met) : 0)};
    T** parts[] = {&origin, &points, &matrix, &affine, &pixels, &sums,
                   &now,    &guess,  &truth,  &weight, &normal};
    size_t all = 0;
    for (const size_t size : sizes) all += lines_of(size);
    memory_ = std::make_unique<Line[]>(all);
    Line* next = memory_.get();
    for (size_t i = 0; i < std::size(sizes); next += lines_of(sizes[i++]))
      *parts[i] = next->numbers;
  }

 private:
  // Of the cache, so that no vector straddles two.
  struct alignas(64) Line {
    T numbers[64 / sizeof(T)];
  };
  static size_t lines_of(size_t numbers) { return numbers * sizeof(T) / sizeof(Line) + 1; }

  std::unique_ptr<Line[]> memory_;
};

}  // namespace isp_meta

ISP_META_EACH_ISA(
    // Covariances with the samples of each system's point in room.pixels, to `row` of its matrix.
    template <class T> void add_left_out(const LocalRBF& rbf, Room<T>& room, int row);
    // Fills the matrix, factorizes it and forward-substitutes `right` right-hand sides.
    template <class T> void factorize(const LocalRBF& rbf, Room<T>& room, int right);
    // Turns the right-hand sides into weights.
    template <class T> void substitute(const LocalRBF& rbf, Room<T>& room);
    // Fills room.sums with what one lane's system has for `count` pixels.
    template <class T> void evaluate(const LocalRBF& rbf, Room<T>& room, int lane, int count);
    // Adds to the equations what `count` pixels say, of whose sums each is what a sample adds.
    template <class T> void add_equations(const LocalRBF& rbf, Room<T>& room, int met, int count);)

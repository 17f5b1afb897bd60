// The samples nearest to a place, by buckets: squares of the plane, each with the samples in it.
//
// The squares around the place's own are searched ring after ring, until no sample further out can
// be nearer than those found. Of samples equally near the one of the smaller number comes first, so
// that the answer is one alone.
#pragma once

#include <cstdint>

#include "dtype.h"
#include "host_device.h"

namespace isp_meta {

constexpr int kMostNearest = 128;

struct Buckets {
  const int64_t* place;   // (N, 2) rows and columns, bucket after bucket
  const int64_t* number;  // (N,) of those samples
  const int64_t* start;   // (rows * cols + 1) of each bucket, and the end
  int64_t samples, rows, cols;
  double side;

  ISP_META_HD int64_t bucket(double at, int64_t size) const {
    const double found = at / side;
    return found < 1 ? 0 : found < double(size) ? int64_t(found) : size - 1;
  }
};

// The nearest so far, in order.
struct Nearest {
  double* squared;
  int64_t* number;
  int count, held;

  ISP_META_HD bool takes(double distance, int64_t sample) const {
    if (held < count) return true;
    const double last = squared[count - 1];
    return distance < last || (distance == last && sample < number[count - 1]);
  }

  ISP_META_HD void insert(double distance, int64_t sample) {
    if (!takes(distance, sample)) return;
    int i = held < count ? held++ : count - 1;
    for (; i > 0; --i) {
      const bool before =
          squared[i - 1] < distance || (squared[i - 1] == distance && number[i - 1] < sample);
      if (before) break;
      squared[i] = squared[i - 1];
      number[i] = number[i - 1];
    }
    squared[i] = distance;
    number[i] = sample;
  }
};

ISP_META_HD void search_bucket(const Buckets& in, int64_t row, int64_t col, double y, double x,
                               Nearest& found) {
  const int64_t bucket = row * in.cols + col;
  for (int64_t i = in.start[bucket]; i < in.start[bucket + 1]; ++i) {
    const double dy = double(in.place[2 * i]) - y, dx = double(in.place[2 * i + 1]) - x;
    found.insert(dy * dy + dx * dx, in.number[i]);
  }
}

// Fills all that is asked for; there must be as many samples.
ISP_META_HD void find_nearest(const Buckets& in, double y, double x, Nearest& found) {
  const int64_t row = in.bucket(y, in.rows), col = in.bucket(x, in.cols);
  for (int64_t ring = 0;; ++ring) {
    const int64_t top = row - ring, bottom = row + ring, left = col - ring, right = col + ring;
    for (int64_t r = top < 0 ? 0 : top; r <= bottom && r < in.rows; ++r) {
      // Of rows between the first and the last the two ends alone are new.
      const int64_t step = r == top || r == bottom || ring == 0 ? 1 : 2 * ring;
      for (int64_t c = left; c <= right; c += step) {
        if (c >= 0 && c < in.cols) search_bucket(in, r, c, y, x, found);
      }
    }
    // How far it is to what was not searched yet.
    double reach = -1;
    const double ends[] = {top > 0 ? y - double(top) * in.side : -1,
                           left > 0 ? x - double(left) * in.side : -1,
                           bottom + 1 < in.rows ? double(bottom + 1) * in.side - y : -1,
                           right + 1 < in.cols ? double(right + 1) * in.side - x : -1};
    const bool more[] = {top > 0, left > 0, bottom + 1 < in.rows, right + 1 < in.cols};
    bool any = false;
    for (int i = 0; i < 4; ++i) {
      if (more[i] && (!any || ends[i] < reach)) reach = ends[i];
      any = any || more[i];
    }
    if (!any) return;
    // What lies exactly as far may have the smaller number.
    const bool full = found.held == found.count;
    if (full && reach > 0 && found.squared[found.count - 1] < reach * reach) return;
  }
}

// `squared` is room for (queries, count) numbers.
const char* launch_nearest_samples(const Launch& on, const Buckets& in, const void* position,
                                   int64_t queries, double* squared, int64_t* found, int count);

}  // namespace isp_meta

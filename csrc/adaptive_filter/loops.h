#pragma once

#include "adaptive_filter/adaptive_filter.h"
#include "cpu/tiles.h"

namespace isp_meta::ISP_META_ISA {

// Pixels of a tile's row, an even number of them, with room on each side; rows that are kept, in a
// ring.
constexpr int kFilterSpan = 64, kFilterMargin = 8, kFilterRing = 8;
constexpr int kFilterPitch = kFilterSpan + 2 * kFilterMargin;
static_assert(kFilterMargin >= kReach && kFilterRing > 2 * kReach);

// What the formulas ask for, of one row of a tile at a time.
template <class T>
class FilterTile {
  using V = Vector<T>;

 public:
  explicit FilterTile(const AdaptiveFilter<T>& of)
      : of_(of), numbers_(size_t(kFilterRing) * kFilterPlanes * kFilterPitch) {}

  // Calls run(y) for rows [begin, end) of the pixels from column x on; only rows that are
  // wanted(y).
  template <class Wanted, class F>
  ISP_META_HD void for_rows(int x, int begin, int end, const Wanted& wanted, const F& run) {
    for (int r = begin - kReach; r < end + kReach; ++r) {
      read(r, x - kFilterMargin);
      const int y = r - kReach;
      if (y < begin || !wanted(y)) continue;
      for (int dy = -kReach; dy <= kReach; ++dy)
        rows_[kReach + dy] = plane(y + dy, 0) + kFilterMargin;
      run(y);
    }
  }

  // Of the pixels that get(plane) takes.
  template <class Get>
  struct At {
    const FilterTile& tile;
    const Get& get;
    ISP_META_HD V seen(int p, int dy, int dx) const {
      return get(tile.rows_[kReach + dy] + p * kFilterPitch + dx);
    }
  };

 private:
  ISP_META_HD T* plane(int r, int p) const {
    return numbers_.get() + ((r & (kFilterRing - 1)) * kFilterPlanes + p) * kFilterPitch;
  }

  // Row r of the picture from column `first` on, which goes on beyond its edges.
  ISP_META_HD void read(int r, int first) {
    const int64_t row = int64_t(clamped(r, of_.height)) * of_.width;
    for (int c = 0; c < kColors; ++c) {
      copy(of_.raw + c * of_.pixels() + row, first, plane(r, c));
      copy(of_.srgb + c * of_.pixels() + row, first, plane(r, kColors + c));
    }
    T* const color = plane(r, kColors);
    for (int i = 0; i < kFilterPitch; i += kLanes<T>) {
      for (int c = 0; c < kColors; ++c) {
        T* const to = plane(r, c) + i;
        store(to, log_of_raw(load(to)));
      }
      const V red = load(color + i), green = load(color + kFilterPitch + i),
              blue = load(color + 2 * kFilterPitch + i);
      store(plane(r, kSumPlane) + i, sum_of(red, green, blue));
      store(plane(r, kLargestPlane) + i, largest_of(red, green, blue));
    }
  }

  ISP_META_HD void copy(const T* row, int first, T* to) const {
    if (first < 0 || first + kFilterPitch > of_.width) {
      return copy_clamped(row, of_.width, first, kFilterPitch, to);
    }
    for (int i = 0; i < kFilterPitch; i += kLanes<T>) store(to + i, load(row + first + i));
  }

  const AdaptiveFilter<T>& of_;
  Scratch<T> numbers_;
  const T* rows_[2 * kReach + 1] = {};  // around the one that is run, from its first pixel on
};

// A weight in each lane: of even columns and of odd ones in turn, for a vector starts at an even
// one. of(odd row, kind) gives kFilterFeatures times kColors of them.
template <class T>
class LaneWeights {
  static constexpr int kEach = kFilterFeatures * kColors * kLanes<T>;

 public:
  explicit LaneWeights(const T* weights) : numbers_(size_t(2) * kKinds * kEach) {
    for (int row = 0; row < 2; ++row) {
      for (int kind = 0; kind < kKinds; ++kind) {
        T* to = numbers_.get() + (row * kKinds + kind) * kEach;
        for (int f = 0; f < kFilterFeatures; ++f) {
          for (int c = 0; c < kColors; ++c) {
            for (int l = 0; l < kLanes<T>; ++l) {
              const int place = (2 * row + l % 2) * kKinds + kind;
              *to++ = weights[(place * kColors + c) * kFilterFeatures + f];
            }
          }
        }
      }
    }
  }

  ISP_META_HD const T* of(int row, int kind) const {
    return numbers_.get() + (row * kKinds + kind) * kEach;
  }

 private:
  Scratch<T> numbers_;
};

template <class T>
void adaptive_filter(const AdaptiveFilter<T>& of, T* result, int begin, int end) {
  using V = Vector<T>;
  constexpr int lanes = kLanes<T>;
  static_assert(lanes % 2 == 0);
  FilterTile<T> tile(of);
  const LaneWeights<T> weights(of.weights);
  for (int left = 0; left < of.width; left += kFilterSpan) {
    const int span = least(kFilterSpan, of.width - left);
    tile.for_rows(
        left, begin, end, [](int) { return true; },
        [&](int y) {
          const int64_t row = int64_t(y) * of.width + left;
          for (int x = 0; x < span; x += lanes) {
            const auto get = [&](const T* from) { return load(from + x); };
            const typename FilterTile<T>::template At<decltype(get)> at{tile, get};
            V features[kFilterFeatures];
            for_filter_features<V>(at, [&](int f, V value) { features[f] = value; });
            const V kinds = kind_of<V>(at, of.bright, of.active);
            V gains[kColors] = {};
            unsigned left_over = 0;
            for (int l = 0; l < lanes; ++l) left_over |= 1u << int(kinds[l]);
            // Most often a vector's pixels are of one kind or two.
            for (; left_over != 0; left_over &= left_over - 1) {
              const int kind = __builtin_ctz(left_over);
              const T* weight = weights.of(y & 1, kind);
              // Two sums of each color: one alone would wait for itself.
              V sums[2][kColors] = {};
              for (int f = 0; f < kFilterFeatures; f += 2) {
                ISP_META_UNROLL
                for (int i = 0; i < 2; ++i) {
                  ISP_META_UNROLL
                  for (int c = 0; c < kColors; ++c, weight += lanes) {
                    sums[i][c] += features[f + i] * load(weight);
                  }
                }
              }
              for (int c = 0; c < kColors; ++c) {
                gains[c] = kinds == T(kind) ? sums[0][c] + sums[1][c] : gains[c];
              }
            }
            for (int c = 0; c < kColors; ++c) {
              const int64_t here = c * of.pixels() + row + x;
              const V raw = load(of.raw + here, span - x);
              store(result + here, filtered(raw, gains[c]), span - x);
            }
          }
        });
  }
}

template <class T>
void filter_features(const AdaptiveFilter<T>& of, const int64_t* index, int64_t count, T* features,
                     int64_t* kinds, int begin, int end) {
  using V = Vector<T>;
  constexpr int lanes = kLanes<T>;
  FilterTile<T> tile(of);
  const auto place = [&](int y, int x) {
    return std::lower_bound(index, index + count, int64_t(y) * of.width + x) - index;
  };
  const int64_t first = place(begin, 0), beyond = place(end, 0);
  if (first == beyond) return;
  begin = int(index[first] / of.width);
  end = int(index[beyond - 1] / of.width) + 1;
  for (int left = 0; left < of.width; left += kFilterSpan) {
    const int right = least(left + kFilterSpan, of.width);
    const auto wanted = [&](int y) { return place(y, left) < place(y, right); };
    tile.for_rows(left, begin, end, wanted, [&](int y) {
      const int64_t last = place(y, right);
      for (int64_t i = place(y, left); i < last; i += lanes) {
        int x[lanes];
        for (int l = 0; l < lanes; ++l) {
          x[l] = int(index[std::min(i + l, last - 1)] - int64_t(y) * of.width) - left;
        }
        const auto get = [&](const T* from) {
          V value;
          ISP_META_UNROLL
          for (int l = 0; l < lanes; ++l) value[l] = from[x[l]];
          return value;
        };
        const typename FilterTile<T>::template At<decltype(get)> at{tile, get};
        V found[kFilterFeatures];
        for_filter_features<V>(at, [&](int f, V value) { found[f] = value; });
        const V kind = kind_of<V>(at, of.bright, of.active);
        for (int l = 0; l < lanes && i + l < last; ++l) {
          for (int f = 0; f < kFilterFeatures; ++f) {
            features[(i + l) * kFilterFeatures + f] = found[f][l];
          }
          kinds[i + l] = int64_t(kind[l]);
        }
      }
    });
  }
}

template void adaptive_filter(const AdaptiveFilter<float>&, float*, int, int);
template void adaptive_filter(const AdaptiveFilter<double>&, double*, int, int);
template void filter_features(const AdaptiveFilter<float>&, const int64_t*, int64_t, float*,
                              int64_t*, int, int);
template void filter_features(const AdaptiveFilter<double>&, const int64_t*, int64_t, double*,
                              int64_t*, int, int);

}  // namespace isp_meta::ISP_META_ISA

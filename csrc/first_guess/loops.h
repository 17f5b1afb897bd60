#pragma once

#include "cpu/tiles.h"
#include "first_guess/first_guess.h"

namespace isp_meta::ISP_META_ISA {

// Pixels of a tile's row, numbers on each side of them that a row of the pyramid holds too, and
// rows of it that are kept, in a ring.
constexpr int kSpan = 64, kMargin = 8, kPitch = kSpan + 2 * kMargin, kRing = 16;
static_assert(kMargin > kHalo && kRing > 2 * kHalo);

// Numbers of a and b in turn.
template <int kFrom, class V, int... kLane>
ISP_META_HD V in_turn(V a, V b, std::integer_sequence<int, kLane...>) {
  constexpr int lanes = sizeof...(kLane);
  return __builtin_shufflevector(a, b, (kFrom + kLane / 2 + kLane % 2 * lanes)...);
}
template <class T>
ISP_META_HD void in_turn(Vector<T> a, Vector<T> b, Vector<T>* both) {
  constexpr std::make_integer_sequence<int, kLanes<T>> lanes;
  both[0] = in_turn<0>(a, b, lanes);
  both[1] = in_turn<kLanes<T> / 2>(a, b, lanes);
}

// As many numbers, as T.
template <class T>
ISP_META_HD Vector<T> load_as(const T* from) {
  return load(from);
}
template <class T>
ISP_META_HD Vector<T> load_as(const uint16_t* from) {
  Vector<T> value;
  ISP_META_UNROLL
  for (int i = 0; i < kLanes<T>; ++i) value[i] = T(from_bfloat16(from[i]));
  return value;
}
#ifdef __AVX2__
template <>
ISP_META_HD Vector<float> load_as<float>(const uint16_t* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return (Vector<float>)_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16);
}
#endif

// What the formulas ask for, of one row of a tile at a time.
template <class T>
class GuessTile {
  using V = Vector<T>;
  static constexpr int kLane = kLanes<T>;

 public:
  explicit GuessTile(const FirstGuess<T>& of) : of_(of), numbers_(kEnd) {
    std::fill_n(numbers_.get(), kEnd, T(0));
  }

  // Calls run(y) for rows [begin, end) of the `span` pixels from column x on; only rows that are
  // wanted(y) are made ready.
  template <class Wanted, class F>
  ISP_META_HD void for_rows(int x, int span, int begin, int end, const Wanted& wanted,
                            const F& run) {
    x_ = x;
    span_ = rounded_up(span, kLane);
    pitch_ = span_ + 2 * kMargin;
    for (int r = begin - kHalo; r < end + kHalo; ++r) {
      read(r);
      // Level after level, each as soon as what it is made of is there.
      if (of_.has_contrast()) {
        if (r >= begin - kHalo + 2) smooth<1>(r - 1);
        if (r >= begin - kHalo + 6) smooth<2>(r - 3);
        if (r >= begin + kHalo) smooth<3>(r - kHalo);
      }
      const int y = r - kHalo;
      if (y < begin || !wanted(y)) continue;
      y_ = y;
      if (of_.has_contrast()) upsample<kQuarter>(of_.contrast, of_.quarter, kContrast, kContrastAt);
      if (of_.has_hidden()) upsample<kHalf>(of_.told, of_.half, kHidden, kToldAt);
      run(y);
    }
  }

  // The table's gains for the row's colors.
  ISP_META_HD void look_up() {
    alignas(64) T knot[kSpan], share[kColors][kSpan];
    for (int x = 0; x < span_; x += kLane) {
      V color[kColors];
      for (int c = 0; c < kColors; ++c) color[c] = load(level(0, y_, c) + kMargin + x);
      const Place<V> place(color, of_.knots);
      store(knot + x, place.knot);
      for (int c = 0; c < kColors; ++c) store(share[c] + x, place.share[c]);
    }
    T* const to = numbers_.get() + kTableAt;
    constexpr int bytes = 4 * sizeof(T);
    for (int x = 0; x < span_; ++x) {
      const T* const first = of_.table + 4 * int64_t(knot[x]);
      const auto corner = [&](int blue, int green, int red) {
        return load<bytes>(first + 4 * ((blue * of_.knots + green) * int64_t(of_.knots) + red));
      };
      const auto gains =
          table_value<Vector<T, bytes>>(share[0][x], share[1][x], share[2][x], corner);
      for (int c = 0; c < kColors; ++c) to[c * kSpan + x] = gains[c];
    }
  }

  // See first_guess.h; get(from) takes the wanted pixels' numbers of a row.
  template <class Get>
  struct At {
    const GuessTile& tile;
    const Get& get;

    ISP_META_HD V seen(int dy, int c, int dx) const {
      return get(tile.level(0, tile.y_ + dy, c) + kMargin + dx);
    }
    ISP_META_HD V level(int k, int c) const { return get(tile.level(k, tile.y_, c) + kMargin); }
    ISP_META_HD V contrast(int i) const { return get(tile.row(kContrastAt, i)); }
    ISP_META_HD V told(int i) const { return get(tile.row(kToldAt, i)); }
    ISP_META_HD V table(int c) const { return get(tile.row(kTableAt, c)); }
  };

 private:
  // Places of what is kept: rings, of what is seen and of each level, then rows.
  static constexpr int kLevelAt = kRing * kSeen * kPitch;
  static constexpr int kLevel = kRing * kColors * kPitch;
  static constexpr int kBetweenAt = kLevelAt + kFine * kLevel;
  static constexpr int kContrastAt = kBetweenAt + kPitch + 2 * kMargin;
  static constexpr int kToldAt = kContrastAt + kContrast * kSpan;
  static constexpr int kTableAt = kToldAt + kHidden * kSpan;
  static constexpr int kEnd = kTableAt + kColors * kSpan;

  // Row r of plane c, from its margin on; level 0 is what is seen.
  ISP_META_HD T* level(int k, int r, int c) const {
    const int ring = r & (kRing - 1);
    if (k == 0) return numbers_.get() + (ring * kSeen + c) * kPitch;
    return numbers_.get() + kLevelAt + (k - 1) * kLevel + (ring * kColors + c) * kPitch;
  }
  ISP_META_HD const T* row(int at, int i) const { return numbers_.get() + at + i * kSpan; }

  // What is seen of row r of the picture, which goes on beyond its edges as it is at them.
  ISP_META_HD void read(int r) {
    const int first = x_ - kMargin;
    const T* from = of_.srgb + int64_t(clamped(r, of_.height)) * of_.width;
    T* const to = level(0, r, 0);
    for (int c = 0; c < kColors; ++c, from += int64_t(of_.height) * of_.width) {
      T* const plane = to + c * kPitch;
      if (first >= 0 && first + pitch_ <= of_.width) {
        for (int i = 0; i < pitch_; i += kLane) store(plane + i, load(from + first + i));
      } else {
        copy_clamped(from, of_.width, first, pitch_, plane);
      }
    }
    for (int i = 0; i < pitch_ && of_.has_contrast(); i += kLane) {
      V all = V{} + T(1);
      for (int c = 0; c < kColors; ++c) {
        const V color = load(to + c * kPitch + i);
        store(to + (kColors + c) * kPitch + i, log_light(color));
        all *= is_clipped(color);
      }
      store(to + 2 * kColors * kPitch + i, all);
    }
  }

  // Row r of level k, of rows of the level before.
  template <int k>
  ISP_META_HD void smooth(int r) {
    constexpr int step = 1 << (k - 1), light = k == 1 ? kColors : 0;
    T* const between = numbers_.get() + kBetweenAt + kMargin;
    for (int c = 0; c < kColors; ++c) {
      const T* const above = level(k - 1, r - step, light + c);
      const T* const here = level(k - 1, r, light + c);
      const T* const below = level(k - 1, r + step, light + c);
      for (int i = 0; i < pitch_; i += kLane) {
        store(between + i, smoothed(load(above + i), load(here + i), load(below + i)));
      }
      T* const to = level(k, r, c);
      for (int i = 0; i < pitch_; i += kLane) {
        const T* const at = between + i;
        store(to + i, smoothed(load(at - step), load(at), load(at + step)));
      }
    }
  }

  // The row of planes that are smaller by a factor, between the centers of their pixels.
  template <int kFactor, class U>
  ISP_META_HD void upsample(const U* planes, Size size, int count, int at) {
    constexpr int padded = rounded_up(kSpan / kFactor + 2, kLane);
    alignas(64) T line[padded + kLane];
    U ends[2][padded];
    const Between<T> rows(y_, kFactor);
    const int first = x_ / kFactor - 1;
    const bool inside = first >= 0 && first + padded <= size.cols;
    T* to = numbers_.get() + at;
    for (int plane = 0; plane < count; ++plane, to += kSpan) {
      const U* lines[2];
      for (int below = 0; below < 2; ++below) {
        const int64_t y = clamped(rows.before + below, size.rows);
        const U* const from = planes + (plane * int64_t(size.rows) + y) * size.cols;
        if (!inside) copy_clamped(from, size.cols, first, padded, ends[below]);
        lines[below] = inside ? from + first : ends[below];
      }
      for (int i = 0; i < padded; i += kLane) {
        store(line + i, mixed(load_as<T>(lines[0] + i), load_as<T>(lines[1] + i), rows.share));
      }
      for (int i = 0; i * kFactor < span_; i += kLane) enlarge<kFactor>(line + i, to + i * kFactor);
    }
  }

  // Of each of a vector's pixels, from the second on, kFactor.
  template <int kFactor>
  ISP_META_HD void enlarge(const T* line, T* to) {
    V phase[kFactor], both[kFactor];
    ISP_META_UNROLL
    for (int p = 0; p < kFactor; ++p) {
      const Between<T> columns(p + kFactor, kFactor);
      const T* const from = line + columns.before;
      phase[p] = mixed(load(from), load(from + 1), columns.share);
    }
    if constexpr (kFactor == 2) {
      in_turn<T>(phase[0], phase[1], both);
    } else {
      V even[2], odd[2];
      in_turn<T>(phase[0], phase[2], even);
      in_turn<T>(phase[1], phase[3], odd);
      in_turn<T>(even[0], odd[0], both);
      in_turn<T>(even[1], odd[1], both + 2);
    }
    ISP_META_UNROLL
    for (int p = 0; p < kFactor; ++p) store(to + p * kLane, both[p]);
  }

  const FirstGuess<T>& of_;
  Scratch<T> numbers_;
  int x_ = 0, y_ = 0, span_ = 0, pitch_ = 0;
};

template <class T>
void first_guess(const FirstGuess<T>& of, T* guess, int begin, int end) {
  GuessTile<T> tile(of);
  const int64_t plane = int64_t(of.bottom - of.top) * of.width;
  for (int left = 0; left < of.width; left += kSpan) {
    const int span = least(kSpan, of.width - left);
    tile.for_rows(
        left, span, begin, end, [](int) { return true; },
        [&](int y) {
          tile.look_up();
          T* const to = guess + int64_t(y - of.top) * of.width + left;
          for (int x = 0; x < span; x += kLanes<T>) {
            const auto get = [&](const T* from) { return load(from + x); };
            Vector<T> found[kColors];
            guess_value<Vector<T>>(of, typename GuessTile<T>::template At<decltype(get)>{tile, get},
                                   found);
            for (int c = 0; c < kColors; ++c) store(to + c * plane + x, found[c], span - x);
          }
        });
  }
}

template <class T>
void guess_features(const FirstGuess<T>& of, const int64_t* index, int64_t count, T* features,
                    int begin, int end) {
  using V = Vector<T>;
  constexpr int lanes = kLanes<T>;
  GuessTile<T> tile(of);
  const int size = of.features - kClips;
  const auto place = [&](int y, int x) {
    return std::lower_bound(index, index + count, int64_t(y) * of.width + x) - index;
  };
  if (place(begin, 0) == place(end, 0)) return;
  for (int left = 0; left < of.width; left += kSpan) {
    const int right = least(left + kSpan, of.width);
    const auto wanted = [&](int y) { return place(y, left) < place(y, right); };
    tile.for_rows(left, right - left, begin, end, wanted, [&](int y) {
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
        const typename GuessTile<T>::template At<decltype(get)> at{tile, get};
        V found[kContrasts + kHidden];
        for_contrast<V>(at, [&](int f, V value) { found[f] = value; });
        if (of.has_hidden()) {
          V* const hidden = found + kContrasts;
          const V factor =
              for_hidden<V>(of.network, at, [&](int f, V value) { hidden[f] = value; });
          for (int f = 0; f < kHidden; ++f) hidden[f] *= factor;
        }
        for (int l = 0; l < lanes && i + l < last; ++l) {
          for (int f = 0; f < size; ++f) features[(i + l) * size + f] = found[f][l];
        }
      }
    });
  }
}

template void first_guess(const FirstGuess<float>&, float*, int, int);
template void first_guess(const FirstGuess<double>&, double*, int, int);
template void guess_features(const FirstGuess<float>&, const int64_t*, int64_t, float*, int, int);
template void guess_features(const FirstGuess<double>&, const int64_t*, int64_t, double*, int, int);

}  // namespace isp_meta::ISP_META_ISA

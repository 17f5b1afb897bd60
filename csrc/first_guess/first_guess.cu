#include "first_guess/first_guess.h"
#include "launch.h"

namespace isp_meta {
namespace {

// The pyramid of some rows of a picture, level after level, kHalo larger on each side.
template <class A>
struct Pyramid {
  A* numbers;
  int rows, cols;

  template <class T>
  __device__ Pyramid(const FirstGuess<T, A>& of, A* levels)
      : numbers(levels), rows(of.bottom - of.top + 2 * kHalo), cols(of.width + 2 * kHalo) {}

  __device__ int64_t plane() const { return int64_t(rows) * cols; }
  __device__ A* level(int k, int c) const { return numbers + (k * kColors + c) * plane(); }
};

// What the formulas ask for, of one pixel.
template <class T, class A>
struct AtPixel {
  const FirstGuess<T, A>& of;
  Pyramid<A> pyramid;
  int y, x;

  __device__ A color(int row, int c, int col) const {
    const int64_t line = int64_t(c) * of.height + clamped(row, of.height);
    return A(of.srgb[line * of.width + clamped(col, of.width)]);
  }
  __device__ A seen(int dy, int c, int dx) const {
    if (c < kColors) return color(y + dy, c, x + dx);
    if (c < 2 * kColors) return in_pyramid(0, c - kColors, dy, dx);
    A all = A(1);
    for (int i = 0; i < kColors; ++i) all *= is_clipped(color(y + dy, i, x + dx));
    return all;
  }
  __device__ A level(int k, int c) const { return in_pyramid(k, c, 0, 0); }
  __device__ A contrast(int i) const {
    return between(of.contrast + int64_t(i) * of.quarter.rows * of.quarter.cols, of.quarter,
                   kQuarter);
  }
  __device__ A told(int i) const {
    return between(of.told + int64_t(i) * of.half.rows * of.half.cols, of.half, kHalf);
  }
  __device__ A table(int c) const {
    const A at[] = {color(y, 0, x), color(y, 1, x), color(y, 2, x)};
    const Place<A> place(at, of.knots);
    const int64_t knots = of.knots;
    const A* first = of.table + c * knots * knots * knots + int64_t(place.knot);
    return table_value<A>(
        place.share[0], place.share[1], place.share[2],
        [&](int blue, int green, int red) { return first[(blue * knots + green) * knots + red]; });
  }

 private:
  __device__ A in_pyramid(int k, int c, int dy, int dx) const {
    const int64_t row = y - of.top + kHalo + dy;
    return pyramid.level(k, c)[row * pyramid.cols + x + kHalo + dx];
  }
  __device__ static A number(const A* at) { return *at; }
  __device__ static A number(const uint16_t* at) { return A(from_bfloat16(*at)); }

  template <class U>
  __device__ A between(const U* plane, Size size, int factor) const {
    const Between<A> rows(y, factor), cols(x, factor);
    A lines[2];
    for (int i = 0; i < 2; ++i) {
      const U* line = plane + int64_t(clamped(rows.before + i, size.rows)) * size.cols;
      lines[i] = mixed(number(line + clamped(cols.before, size.cols)),
                       number(line + clamped(cols.before + 1, size.cols)), cols.share);
    }
    return mixed(lines[0], lines[1], rows.share);
  }
};

// One thread a number of a level, one row of groups a line of a color. What lies too near the
// room's edge is made of less than it should be, and read by nobody.
template <class T, class A>
__global__ void level_kernel(FirstGuess<T, A> of, A* levels, int k) {
  const Pyramid<A> pyramid(of, levels);
  const int c = int(row_of_groups() / unsigned(pyramid.rows));
  const int row = int(row_of_groups() % unsigned(pyramid.rows)), col = int(thread_index());
  if (c >= kColors || col >= pyramid.cols) return;
  if (k == 0) {
    const AtPixel<T, A> from{of, pyramid, 0, 0};
    pyramid.level(0, c)[int64_t(row) * pyramid.cols + col] =
        log_light(from.color(row + of.top - kHalo, c, col - kHalo));
    return;
  }
  const int step = 1 << (k - 1);
  const A* const from = pyramid.level(k - 1, c);
  A lines[kColors];
  for (int i = 0; i < 3; ++i) {
    const A* line = from + int64_t(clamped(row + (i - 1) * step, pyramid.rows)) * pyramid.cols;
    lines[i] = smoothed(line[clamped(col - step, pyramid.cols)], line[col],
                        line[clamped(col + step, pyramid.cols)]);
  }
  pyramid.level(k, c)[int64_t(row) * pyramid.cols + col] = smoothed(lines[0], lines[1], lines[2]);
}

template <class T, class A>
__global__ void guess_kernel(FirstGuess<T, A> of, A* levels, A* guess) {
  const int row = int(row_of_groups()), x = int(thread_index()), y = of.top + row;
  if (y >= of.bottom || x >= of.width) return;
  const int64_t plane = int64_t(of.bottom - of.top) * of.width, at = int64_t(row) * of.width + x;
  A found[kColors];
  guess_value<A>(of, AtPixel<T, A>{of, Pyramid<A>(of, levels), y, x}, found);
  for (int c = 0; c < kColors; ++c) guess[c * plane + at] = found[c];
}

// No thread waits for an answer, so a wrong index is moved to where memory is.
template <class T, class A>
__global__ void features_kernel(FirstGuess<T, A> of, A* levels, const int64_t* index, int64_t count,
                                A* features) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t first = int64_t(of.top) * of.width, end = int64_t(of.bottom) * of.width;
  const int64_t pixel = max(first, min(index[i], end - 1));
  const AtPixel<T, A> at{of, Pyramid<A>(of, levels), int(pixel / of.width), int(pixel % of.width)};
  A* const to = features + i * (of.features - kClips);
  for_contrast<A>(at, [&](int f, A value) { to[f] = value; });
  if (!of.has_hidden()) return;
  A* const hidden = to + kContrasts;
  const A factor = for_hidden<A>(of.network, at, [&](int f, A value) { hidden[f] = value; });
  for (int f = 0; f < kHidden; ++f) hidden[f] *= factor;
}

// The pyramid.
const char* launch_levels(const Launch& on, const FirstGuessTensors& of, void* levels) {
  const int64_t rows = kColors * (int64_t(of.bottom - of.top) + 2 * kHalo);
  const int64_t cols = int64_t(of.width) + 2 * kHalo;
  for (int k = 0; k <= kFine && of.has_contrast(); ++k) {
    const char* error = launch_threads(on, cols, rows, [&](auto zero, dim3 blocks, auto stream) {
      using T = decltype(zero);
      using A = AccumulateType<T>;
      const auto kernel = level_kernel<T, A>;
      const FirstGuess<T, A> here = typed<T, A>(of);
      ISP_META_LAUNCH(kernel, blocks, kThreads, 0, stream, here, static_cast<A*>(levels), k);
    });
    if (error != nullptr) return error;
  }
  return nullptr;
}

}  // namespace

const char* launch_first_guess(const Launch& on, const FirstGuessTensors& of, void* levels,
                               void* guess) {
  if (const char* error = launch_levels(on, of, levels)) return error;
  const int rows = of.bottom - of.top;
  return launch_threads(on, of.width, rows, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    const auto kernel = guess_kernel<T, A>;
    const FirstGuess<T, A> here = typed<T, A>(of);
    ISP_META_LAUNCH(kernel, blocks, kThreads, 0, stream, here, static_cast<A*>(levels),
                    static_cast<A*>(guess));
  });
}

const char* launch_guess_features(const Launch& on, const FirstGuessTensors& of, void* levels,
                                  const int64_t* index, int64_t count, void* features) {
  if (const char* error = launch_levels(on, of, levels)) return error;
  return launch_threads(on, count, 1, [&](auto zero, dim3 blocks, cudaStream_t stream) {
    using T = decltype(zero);
    using A = AccumulateType<T>;
    const auto kernel = features_kernel<T, A>;
    const FirstGuess<T, A> here = typed<T, A>(of);
    ISP_META_LAUNCH(kernel, blocks, kThreads, 0, stream, here, static_cast<A*>(levels), index,
                    count, static_cast<A*>(features));
  });
}

}  // namespace isp_meta

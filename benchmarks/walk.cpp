// How fast memory gives 17 planes, in the order of its addresses and in that of the operators, and
// how fast the operators' loops take them: for benchmarks/walk.py.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <thread>
#include <vector>

#include "aggregate/aggregate.h"
#include "associate/associate.h"

using namespace isp_meta;

namespace {

constexpr int kChannels = 8, kPlanes = kNeighbors + kChannels, kRounds = 41;
constexpr int kTileWidth = 64, kTileHeight = 8;

// On whole cache lines, as PyTorch's tensors are.
struct Numbers {
  float* at;

  explicit Numbers(size_t count) : at(new (kLine) float[count]) { std::fill_n(at, count, 0.5f); }
  ~Numbers() { operator delete[](at, kLine); }
  Numbers(const Numbers&) = delete;

 private:
  static constexpr std::align_val_t kLine{64};
};

using Rows = std::function<void(int64_t begin, int64_t end)>;

struct Case {
  const char* name;
  int planes;  // that it reads or writes
  Rows run;
  std::vector<double> seconds = {};
};

__attribute__((target("avx2"))) void read(const float* from, int64_t count, __m256& sum) {
  for (int64_t i = 0; i < count; i += 8) sum = _mm256_add_ps(sum, _mm256_loadu_ps(from + i));
}

void keep(const __m256& sum) { asm volatile("" : : "m"(sum)); }

// Each plane's rows at a stretch.
void in_order(const float* planes, Grid grid, int64_t begin, int64_t end) {
  __m256 sum = {};
  for (int k = 0; k < kPlanes; ++k) {
    const float* from = planes + k * grid.pixels() + begin * grid.cell * grid.width;
    read(from, (end - begin) * grid.cell * grid.width, sum);
  }
  keep(sum);
}

// As aggregate reads: a tile of all planes after the other, the one after next asked for.
void in_tiles(const float* planes, Grid grid, int64_t begin, int64_t end) {
  __m256 sum = {};
  for (int64_t by = begin; by < end; ++by) {
    for (int x = 0; x < grid.width; x += kTileWidth) {
      for (int k = 0; k < kPlanes; ++k) {
        const float* from = planes + k * grid.pixels() + by * grid.cell * grid.width + x;
        for (int y = 0; y < kTileHeight; ++y, from += grid.width) {
          for (int i = 0; i < kTileWidth; i += 16) {
            __builtin_prefetch(from + 2 * kTileWidth + i, 0, 2);
          }
          read(from, kTileWidth, sum);
        }
      }
    }
  }
  keep(sum);
}

double seconds(const Rows& run, int64_t rows, int threads) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) {
    others.emplace_back(run, rows * t / threads, rows * (t + 1) / threads);
  }
  run(0, rows / threads);
  for (std::thread& other : others) other.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int, char** arguments) {
  const int side = std::atoi(arguments[1]), most = std::atoi(arguments[2]);
  const Grid grid{side, side, 8};
  const int64_t plane = grid.pixels();
  const Numbers planes(kPlanes * plane), results(kNeighbors * plane);
  const Numbers cells((kChannels + 1) * grid.cells()), sums((kChannels + 1) * grid.cells());
  const float *q = planes.at, *f = q + kNeighbors * plane;
  for (int threads = 1; threads <= most; ++threads) {
    std::vector<Case> cases{
        {"planes in order", kPlanes, [&](auto b, auto e) { in_order(q, grid, b, e); }},
        {"planes in tiles", kPlanes, [&](auto b, auto e) { in_tiles(q, grid, b, e); }},
        {"accumulate", kPlanes,
         [&](auto b, auto e) { avx2::accumulate(f, q, sums.at, 1, kChannels, grid, b, e); }},
        {"distribute", kPlanes,
         [&](auto b, auto e) {
           avx2::distribute(cells.at, q, results.at, 1, kChannels, grid, b, e);
         }},
        {"correlate", kPlanes,
         [&](auto b, auto e) {
           avx2::correlate(f, cells.at, results.at, 1, kChannels, grid, b, e);
         }},
        {"associate", 2 * kNeighbors,
         [&](auto b, auto e) { avx2::associate(q, results.at, 1, grid, true, b, e); }},
    };
    for (int round = 0; round < kRounds; ++round) {
      for (Case& one : cases) one.seconds.push_back(seconds(one.run, grid.rows(), threads));
    }
    for (Case& one : cases) {
      std::sort(one.seconds.begin(), one.seconds.end());
      const double bytes = 4.0 * one.planes * plane;
      std::printf("%d threads  %-16s%8.1f%8.1f\n", threads, one.name,
                  1e-9 * bytes / one.seconds[kRounds / 2], 1e-9 * bytes / one.seconds[0]);
    }
  }
}

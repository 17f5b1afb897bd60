#include <cmath>

#include "mosaic.h"
#include "stripes.h"

namespace isp_meta::payload {
namespace {

using Curve = std::array<double, kCodes>;

// Sums over the pixels of one color from which its three curves follow.
struct CurveSums {
  std::array<std::array<double, kCodes>, kChannels> count{}, target{};
  // together[i][j]: how often channel i has one code and channel j > i another.
  std::array<std::array<std::vector<float>, kChannels>, kChannels> together;

  CurveSums() {
    for (auto& row : together) {
      for (auto& pairs : row) pairs.resize(kCodes * kCodes);
    }
  }
};

// Smoothest curve near targets of some weight: (diag(weight) + lambda D'D) curve = target, D the
// second difference. Source: E. Whittaker, "On a new method of graduation", 1923.
Curve smooth(const Curve& weight, const Curve& target) {
  constexpr double kStiff = 20;
  constexpr double kRidge = 1e-3;
  // Cholesky's factors of a matrix of five diagonals.
  Curve main{}, first{}, second{}, rest = target;
  const auto entry = [](int i, int distance) {
    const auto d = [](int row, int column) {
      const int k = column - row;
      return row < 0 || row > kCodes - 3 || k < 0 || k > 2 ? 0.0 : k == 1 ? -2.0 : 1.0;
    };
    double sum = 0;
    for (int row = i - 2; row <= i; ++row) sum += d(row, i) * d(row, i + distance);
    return kStiff * sum;
  };
  for (int i = 0; i < kCodes; ++i) {
    double pivot = entry(i, 0) + weight[i] + kRidge;
    if (i > 0) pivot -= first[i - 1] * first[i - 1];
    if (i > 1) pivot -= second[i - 2] * second[i - 2];
    main[i] = std::sqrt(pivot);
    double one = i + 1 < kCodes ? entry(i, 1) : 0;
    if (i > 0) one -= second[i - 1] * first[i - 1];
    first[i] = one / main[i];
    second[i] = i + 2 < kCodes ? entry(i, 2) / main[i] : 0;
  }
  for (int i = 0; i < kCodes; ++i) {
    if (i > 0) rest[i] -= first[i - 1] * rest[i - 1];
    if (i > 1) rest[i] -= second[i - 2] * rest[i - 2];
    rest[i] /= main[i];
  }
  for (int i = kCodes - 1; i >= 0; --i) {
    if (i + 1 < kCodes) rest[i] -= first[i] * rest[i + 1];
    if (i + 2 < kCodes) rest[i] -= second[i] * rest[i + 2];
    rest[i] /= main[i];
  }
  return rest;
}

// Backfitting of an additive model. Source: J. Friedman, W. Stuetzle, "Projection pursuit
// regression", JASA 76, 1981.
std::array<Curve, kChannels> backfit(const CurveSums& sums, int own) {
  std::array<Curve, kChannels> curves{};
  for (int round = 0; round < 30; ++round) {
    for (int turn = 0; turn < kChannels; ++turn) {
      const int channel = (own + turn) % kChannels;
      Curve rest = sums.target[channel];
      for (int other = 0; other < kChannels; ++other) {
        if (other == channel) continue;
        const auto& pairs = sums.together[std::min(channel, other)][std::max(channel, other)];
        for (int a = 0; a < kCodes; ++a) {
          for (int b = 0; b < kCodes; ++b) {
            if (channel < other)
              rest[a] -= pairs[a * kCodes + b] * curves[other][b];
            else
              rest[b] -= pairs[a * kCodes + b] * curves[other][a];
          }
        }
      }
      curves[channel] = smooth(sums.count[channel], rest);
    }
  }
  return curves;
}

// How closely a code should be met: ranks lie as densely as the sensor tells codes apart.
double precision(const MosaicModel& model, std::int32_t rank) {
  constexpr std::int32_t kReach = 8;
  if (model.codes.empty() || model.top == 0) return 1;
  const std::int32_t low = std::max(rank - kReach, 0), high = std::min(rank + kReach, model.top);
  const double slope = static_cast<double>(high - low) / (model.codes[high] - model.codes[low]);
  return slope * slope;
}

void fit_guess(MosaicModel& model, std::span<const std::uint16_t> ranks, std::int64_t height,
               std::int64_t width, const Guide& guide, int threads) {
  for_each_stripe(kColors, threads, [&](std::int64_t color) {
    CurveSums sums;
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        if (model.pattern.colors[model.pattern.phase(y, x)] != color) continue;
        std::array<int, kChannels> code;
        for (int i = 0; i < kChannels; ++i) code[i] = guide.at(i, y, x);
        const std::int32_t rank = ranks[y * width + x];
        const double target = model.code_of(rank);
        const auto weight = static_cast<float>(precision(model, rank));
        for (int i = 0; i < kChannels; ++i) {
          sums.count[i][code[i]] += weight;
          sums.target[i][code[i]] += weight * target;
          for (int j = i + 1; j < kChannels; ++j)
            sums.together[i][j][code[i] * kCodes + code[j]] += weight;
        }
      }
    }
    const auto curves = backfit(sums, static_cast<int>(color));
    for (int i = 0; i < kChannels; ++i) {
      for (int v = 0; v < kCodes; ++v) {
        model.guess[color][i][v] = static_cast<std::int32_t>(std::clamp<double>(
            std::round(curves[i][v] * (1 << kFraction)), -kMostGuess, kMostGuess));
      }
    }
  });
}

// Symmetric normal equations of one set of weights.
struct Normal {
  std::vector<double> square, cross;
  double count = 0;
};

// Solves them by Cholesky's factors; a little ridge keeps features that never vary at 0.
std::vector<double> solve(const Normal& normal, std::size_t size) {
  std::vector<double> factor(size * size), solution(normal.cross);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = normal.square[i * size + j];
      if (i == j) sum += 1e-7 * sum + 16 + normal.count;
      for (std::size_t k = 0; k < j; ++k) sum -= factor[i * size + k] * factor[j * size + k];
      factor[i * size + j] = i == j ? std::sqrt(std::max(sum, 1.0)) : sum / factor[j * size + j];
    }
  }
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k < i; ++k) solution[i] -= factor[i * size + k] * solution[k];
    solution[i] /= factor[i * size + i];
  }
  for (std::size_t i = size; i-- > 0;) {
    for (std::size_t k = i + 1; k < size; ++k) solution[i] -= factor[k * size + i] * solution[k];
    solution[i] /= factor[i * size + i];
  }
  return solution;
}

void fit_weights(MosaicModel& model, std::span<const std::uint16_t> ranks, std::int64_t height,
                 std::int64_t width, const Guide& guide, int threads) {
  const std::size_t size = model.features();
  const std::size_t sets = model.pattern.phases() * kClasses;
  const std::int64_t count = Stripe::count(height, width), tall = Stripe::rows_of(width);
  // About two million pixels, in whole repetitions of the pattern.
  const std::int64_t every = std::max<std::int64_t>(1, height * width / 2'000'000);
  std::vector<std::vector<Normal>> sums(count);
  for_each_stripe(count, threads, [&](std::int64_t i) {
    const std::int64_t first = i * tall, rows = std::min(tall, height - first);
    Stripe stripe(model, guide, first, rows, width);
    std::vector<Normal>& normals = sums[i];
    normals.assign(sets, {std::vector<double>(size * size), std::vector<double>(size), 0});
    Stripe::Features features;
    std::array<double, Stripe::kMostFeatures> exact;
    for (std::int64_t y = 0; y < rows; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const int phase = model.pattern.phase(first + y, x);
        const std::int32_t base = stripe.base(y, x, phase);
        const std::int32_t rank = ranks[(first + y) * width + x];
        if ((y / model.pattern.rows * 3 + x / model.pattern.columns) % every == 0) {
          stripe.gather(y, x, phase, base, features);
          Normal& normal = normals[phase * kClasses + model.level(base) * kClasses / kLevels];
          const double target = (rank << kFraction) - base;
          for (std::size_t a = 0; a < size; ++a) exact[a] = features[a];
          for (std::size_t a = 0; a < size; ++a) {
            const double value = exact[a];
            double* row = &normal.square[a * size];
            for (std::size_t b = 0; b <= a; ++b) row[b] += value * exact[b];
            normal.cross[a] += value * target;
          }
          ++normal.count;
        }
        stripe.learn(y, x, rank, base, base);
      }
    }
  });
  model.weights.resize(model.weight_count());
  for (std::size_t set = 0; set < sets; ++set) {
    Normal total{std::vector<double>(size * size), std::vector<double>(size), 0};
    for (const auto& normals : sums) {
      for (std::size_t a = 0; a < size * size; ++a) total.square[a] += normals[set].square[a];
      for (std::size_t a = 0; a < size; ++a) total.cross[a] += normals[set].cross[a];
      total.count += normals[set].count;
    }
    const std::vector<double> weights = solve(total, size);
    for (std::size_t a = 0; a < size; ++a) {
      model.weights[set * size + a] = static_cast<std::int32_t>(std::clamp<double>(
          std::round(weights[a] * (1 << kWeightBits)), -kMostWeight, kMostWeight));
    }
  }
}

// Levels that split the picture into equal parts.
void fit_thresholds(MosaicModel& model, std::span<const std::uint16_t> ranks, std::int64_t height,
                    std::int64_t width, const Guide& guide) {
  std::vector<std::int32_t> seen;
  const std::int64_t step = std::max<std::int64_t>(1, height / 100);
  for (std::int64_t y = step / 2; y < height; y += step) {
    for (std::int64_t x = 0; x < width; x += 3) {
      std::int32_t value = ranks[y * width + x] << kFraction;
      if (model.guided) {
        value = 0;
        const auto& curves = model.guess[model.pattern.colors[model.pattern.phase(y, x)]];
        for (int i = 0; i < kChannels; ++i) value += curves[i][guide.at(i, y, x)];
      }
      seen.push_back(model.guided ? model.rank_of(value) : value);
    }
  }
  std::ranges::sort(seen);
  for (int i = 0; i < kLevels - 1; ++i) {
    model.thresholds[i] = seen[seen.size() * (i + 1) / kLevels];
  }
}

}  // namespace

MosaicModel fit_mosaic(std::span<const std::uint16_t> ranks, std::int64_t height,
                       std::int64_t width, const Pattern& pattern, const Guide& guide,
                       std::vector<std::uint16_t> codes, std::int32_t top, int threads) {
  MosaicModel model;
  model.pattern = pattern;
  model.guided = guide.pixels != nullptr;
  model.codes = std::move(codes);
  model.top = top;
  model.make_link();
  if (model.guided) fit_guess(model, ranks, height, width, guide, threads);
  fit_thresholds(model, ranks, height, width, guide);
  fit_weights(model, ranks, height, width, guide, threads);
  return model;
}

}  // namespace isp_meta::payload

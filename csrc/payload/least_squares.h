// Linear regression that follows its data, integers only.
//
// Keeps the normal equations with exponential forgetting and goes one step of coordinate descent
// toward their solution with each observation; the last solution is the next start.
//
// Source: Y. V. Zakharov, G. P. White, J. Liu, "Low-complexity RLS algorithms using dichotomous
// coordinate descent iterations", IEEE Transactions on Signal Processing 56(7), 2008; with the
// exact step along each coordinate in place of a power of two.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace isp_meta::payload {

// Features and targets must lie within +-2^12: then no sum can leave 64 bits.
template <std::size_t kFeatures>
class LeastSquares {
 public:
  using Features = std::array<std::int32_t, kFeatures>;

  // Forgets 2^-memory of what it knows with each observation, memory <= 12; ridge <= 2^30 pulls
  // weights toward 0.
  LeastSquares(int memory, std::int64_t ridge) : memory_(memory), ridge_(ridge) {}

  std::int32_t predict(const Features& features) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < kFeatures; ++i) sum += weight_[i] * features[i];
    return static_cast<std::int32_t>(sum >> kWeightBits);
  }

  void update(const Features& features, std::int64_t target) {
    for (std::size_t i = 0; i < kFeatures; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        const std::int64_t product = std::int64_t{features[i]} * features[j];
        square_[i][j] += product - (square_[i][j] >> memory_);
        square_[j][i] = square_[i][j];
      }
      cross_[i] += features[i] * target - (cross_[i] >> memory_);
    }
    for (std::size_t i = 0; i < kFeatures; ++i) descend(i);
  }

 private:
  static constexpr int kWeightBits = 16;
  static constexpr std::int64_t kMostWeight = 1 << 20;

  void descend(std::size_t i) {
    std::int64_t rest = (cross_[i] << kWeightBits) - ridge_ * weight_[i];
    for (std::size_t j = 0; j < kFeatures; ++j) rest -= square_[i][j] * weight_[j];
    weight_[i] =
        std::clamp(weight_[i] + rest / (square_[i][i] + ridge_), -kMostWeight, kMostWeight);
  }

  int memory_;
  std::int64_t ridge_;
  std::array<std::array<std::int64_t, kFeatures>, kFeatures> square_{};
  std::array<std::int64_t, kFeatures> cross_{}, weight_{};
};

}  // namespace isp_meta::payload

// Some rows of a mosaic: what is known of a pixel before it is coded, and its prediction.
//
// Stripes know nothing of each other, so that threads can work on several.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "mosaic_model.h"

namespace isp_meta::payload {

// Rows of a picture with a margin on all sides, zero at first.
template <class Element>
class Padded {
 public:
  Padded(std::int64_t rows, std::int64_t columns, std::int64_t margin)
      : margin_(margin), stride_(columns + 2 * margin), cells_((rows + 2 * margin) * stride_) {}

  std::int64_t stride() const { return stride_; }
  Element* at(std::int64_t y, std::int64_t x) {
    return cells_.data() + (y + margin_) * stride_ + x + margin_;
  }
  const Element* at(std::int64_t y, std::int64_t x) const {
    return cells_.data() + (y + margin_) * stride_ + x + margin_;
  }

 private:
  std::int64_t margin_, stride_;
  std::vector<Element> cells_;
};

// The finished picture, planes of 8 bits, or nothing.
struct Guide {
  const std::uint8_t* pixels = nullptr;
  std::int64_t height = 0, width = 0;

  std::uint8_t at(int channel, std::int64_t y, std::int64_t x) const {
    return pixels[(channel * height + y) * width + x];
  }
};

class Stripe {
 public:
  // A bounded amount of memory.
  static std::int64_t rows_of(std::int64_t width) {
    return std::clamp<std::int64_t>((1 << 21) / width / 12 * 12, 12, 240);
  }
  static std::int64_t count(std::int64_t height, std::int64_t width) {
    return (height + rows_of(width) - 1) / rows_of(width);
  }

  static constexpr std::int64_t kMargin = 6;
  static constexpr std::int64_t kReach = 2;  // of kAround
  static constexpr std::size_t kMostFeatures = kBefore.size() + 1 + kColors * (kAround.size() + 1);
  using Features = std::array<std::int32_t, kMostFeatures>;

  Stripe(const MosaicModel& model, const Guide& guide, std::int64_t top, std::int64_t rows,
         std::int64_t width)
      : model_(model),
        top_(top),
        rows_(rows),
        width_(width),
        rest_(rows, width, kMargin),
        miss_(rows, width, kMargin),
        guess_(model.guided ? kColors : 0, Padded<std::int32_t>(rows, width, kMargin)) {
    for (int i = 0; Offset offset : kBefore) before_[i++] = offset.dy * rest_.stride() + offset.dx;
    for (int i = 0; Offset offset : kAround) around_[i++] = offset.dy * rest_.stride() + offset.dx;
    if (model.guided) guess_from(guide);
    find_twins();
  }

  std::int64_t top() const { return top_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t width() const { return width_; }

  // What stands in for a pixel without any correction, in 1 / 2^kFraction.
  std::int32_t base(std::int64_t y, std::int64_t x, int phase) const {
    if (model_.guided) return *guess_[model_.pattern.colors[phase]].at(y, x);
    for (const Offset& twin : twins_[phase]) {
      if (y + twin.dy >= 0 && x + twin.dx >= 0 && x + twin.dx < width_) {
        return *rest_.at(y + twin.dy, x + twin.dx);
      }
    }
    return model_.top << (kFraction - 1);
  }

  // How much the finished picture changes here, or, without it, the mosaic before here.
  std::int32_t activity(std::int64_t y, std::int64_t x, int phase) const {
    if (!model_.guided) {
      const auto& twins = twins_[phase];
      if (twins.size() < 2 || y < 6 || x < 6 || x + 6 >= width_) return 0;
      return 2 * std::abs(*rest_.at(y + twins[0].dy, x + twins[0].dx) -
                          *rest_.at(y + twins[1].dy, x + twins[1].dx));
    }
    const std::int32_t* own = guess_[model_.pattern.colors[phase]].at(y, x);
    std::int32_t sum = 0;
    for (const int i : {1, 3, 4, 6}) sum += std::abs(own[around_[i]] - *own);
    return sum;
  }

  void gather(std::int64_t y, std::int64_t x, int phase, std::int32_t base,
              Features& features) const {
    std::size_t n = 0;
    const std::int32_t* rest = rest_.at(y, x);
    if (model_.guided) {
      for (const std::int64_t step : before_) features[n++] = rest[step];
      features[n++] = 1 << (kFraction + 4);
      for (const auto& plane : guess_) {
        const std::int32_t* own = plane.at(y, x);
        for (const std::int64_t step : around_) features[n++] = own[step] - *own;
      }
      for (int color = 0; color < kColors; ++color) {
        const bool same = color == model_.pattern.colors[phase];
        features[n++] = *guess_[color].at(y, x) - (same ? model_.top << (kFraction - 1) : base);
      }
    } else {
      for (const auto& [dy, dx] : kBefore) {
        const bool there = y + dy >= 0 && x + dx >= 0 && x + dx < width_;
        features[n++] = there ? *rest_.at(y + dy, x + dx) - base : 0;
      }
      features[n++] = 1 << (kFraction + 4);
    }
  }

  // In 1 / 2^kFraction, within 0 and the greatest rank.
  std::int32_t predict(const Features& features, int phase, int kind, std::int32_t base) const {
    const std::size_t count = model_.features();
    const std::int32_t* weights = &model_.weights[(phase * kClasses + kind) * count];
    std::int64_t sum = 1 << (kWeightBits - 1);
    for (std::size_t i = 0; i < count; ++i) sum += std::int64_t{weights[i]} * features[i];
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(
        base + (sum >> kWeightBits), 0, std::int64_t{model_.top} << kFraction));
  }

  // To be told of every pixel once its rank is known.
  void learn(std::int64_t y, std::int64_t x, std::int32_t rank, std::int32_t base,
             std::int32_t prediction) {
    *rest_.at(y, x) = (rank << kFraction) - (model_.guided ? base : 0);
    *miss_.at(y, x) = (rank << kFraction) - prediction;
  }

  const std::int32_t* misses(std::int64_t y, std::int64_t x) const { return miss_.at(y, x); }
  std::int64_t stride() const { return miss_.stride(); }

 private:
  void guess_from(const Guide& guide) {
    for (std::int64_t y = -kReach; y < rows_ + kReach; ++y) {
      const std::int64_t row = std::clamp<std::int64_t>(top_ + y, 0, guide.height - 1);
      for (std::int64_t x = -kReach; x < width_ + kReach; ++x) {
        const std::int64_t column = std::clamp<std::int64_t>(x, 0, width_ - 1);
        const std::uint8_t red = guide.at(0, row, column), green = guide.at(1, row, column),
                           blue = guide.at(2, row, column);
        for (int color = 0; color < kColors; ++color) {
          const auto& curve = model_.guess[color];
          *guess_[color].at(y, x) =
              model_.rank_of(curve[0][red] + curve[1][green] + curve[2][blue]);
        }
      }
    }
  }

  // The nearest earlier pixels of the same color, the nearest first.
  void find_twins() {
    const Pattern& pattern = model_.pattern;
    twins_.resize(pattern.phases());
    for (int phase = 0; phase < pattern.phases(); ++phase) {
      const int py = phase / pattern.columns, px = phase % pattern.columns;
      for (int distance = 1; distance <= 6; ++distance) {
        for (int dy = 0; dy >= -distance; --dy) {
          const int side = distance + dy;
          for (int dx = -side; dx <= side; dx += std::max(1, 2 * side)) {
            if ((dy == 0 && dx > 0)) continue;
            const int other =
                pattern.phase(py + dy + 6 * pattern.rows, px + dx + 6 * pattern.columns);
            if (pattern.colors[other] == pattern.colors[phase]) {
              twins_[phase].push_back({dy, dx});
            }
          }
        }
      }
    }
  }

  const MosaicModel& model_;
  std::int64_t top_, rows_, width_;
  Padded<std::int32_t> rest_;  // what the guess leaves; without one, the mosaic itself
  Padded<std::int32_t> miss_;
  std::vector<Padded<std::int32_t>> guess_;  // of each color, at every pixel
  std::array<std::int64_t, kBefore.size()> before_;
  std::array<std::int64_t, kAround.size()> around_;
  std::vector<std::vector<Offset>> twins_;  // by phase
};

}  // namespace isp_meta::payload

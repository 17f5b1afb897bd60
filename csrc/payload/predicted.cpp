#include "predicted.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "least_squares.h"
#include "residual.h"
#include "surroundings.h"

namespace isp_meta::payload {
namespace {

constexpr int kRed = 0, kGreen = 1, kBlue = 2;
constexpr std::array<int, 3> kCodingOrder = {kGreen, kRed, kBlue};

// Pixels and values alike are led to 12 bits, in which predictions are made.
constexpr int kUnit = 1 << 12;
constexpr int kFraction = 16;
constexpr int kNeighbors = 4;
constexpr int kCandidates = 5;

using Colors = std::array<std::int32_t, 3>;
using Curve = LeastSquares<13>;
using Detail = LeastSquares<14>;

struct Sample {
  bool known = false;
  std::int32_t y = 0, x = 0;
  Colors pixel{};
  // How far a value lies from what its pixel's color alone says, and from its prediction (1 / 16
  // codes); how far each candidate missed.
  Colors offset{}, residual{};
  std::array<std::array<std::int32_t, kCandidates>, 3> miss{};
};

// ---- The picture around a sample ---------------------------------------------------------------

struct Patch {
  Colors pixel, ring, outer;
  int activity = 0;
  bool clipped = false;
};

class Picture {
 public:
  Picture(std::span<const std::uint8_t> pixels, const Grid& grid)
      : pixels_(pixels), height_(grid.height), width_(grid.width) {}

  Patch at(std::int64_t y, std::int64_t x) const {
    Patch patch;
    for (int channel = 0; channel < 3; ++channel) {
      const int center = pixel(channel, y, x);
      int near = 0, far = 0, least = center, most = center;
      for (int dy = -2; dy <= 2; ++dy) {
        for (int dx = -2; dx <= 2; ++dx) {
          const int value = pixel(channel, y + dy, x + dx);
          if (std::abs(dy) == 2 || std::abs(dx) == 2) {
            far += value;
          } else {
            near += value;
            least = std::min(least, value);
            most = std::max(most, value);
          }
        }
      }
      patch.pixel[channel] = 16 * center;
      patch.ring[channel] = 16 * near / 9;
      patch.outer[channel] = far;  // 16 pixels
      if (channel == kGreen) patch.activity = most - least;
      patch.clipped |= center <= 1 || center >= 254;
    }
    return patch;
  }

 private:
  int pixel(int channel, std::int64_t y, std::int64_t x) const {
    y = std::clamp<std::int64_t>(y, 0, height_ - 1);
    x = std::clamp<std::int64_t>(x, 0, width_ - 1);
    return pixels_[static_cast<std::size_t>((channel * height_ + y) * width_ + x)];
  }

  std::span<const std::uint8_t> pixels_;
  std::int64_t height_, width_;
};

// ---- Samples around a sample -------------------------------------------------------------------

struct Neighborhood {
  std::array<const Sample*, kNeighbors> sample{};
  std::array<std::int64_t, kNeighbors> distance{}, weight{};
  int size = 0;

  // Keeps the nearest ones in order, the first of equals first.
  void add(const Sample& other, std::int64_t apart) {
    int place = size;
    while (place > 0 && distance[place - 1] > apart) --place;
    if (place == kNeighbors) return;
    size = std::min(size + 1, kNeighbors);
    for (int i = size - 1; i > place; --i) {
      sample[i] = sample[i - 1];
      distance[i] = distance[i - 1];
    }
    sample[place] = &other;
    distance[place] = apart;
  }

  // Weighted mean of what of(neighbor) gives, times `times`; `otherwise` without neighbors.
  template <class Of>
  std::int32_t mean(int times, std::int32_t otherwise, Of of) const {
    std::int64_t weights = 0, sum = 0;
    for (int i = 0; i < size; ++i) {
      weights += weight[i];
      sum += weight[i] * of(*sample[i]);
    }
    return weights ? static_cast<std::int32_t>(times * sum / weights) : otherwise;
  }
};

Neighborhood neighbors(Surroundings<Sample>& surroundings, const Sample& sample,
                       std::int64_t side) {
  Neighborhood near;
  surroundings.each(sample.y, sample.x, [&](const Sample& other) {
    const std::int64_t dy = other.y - sample.y, dx = other.x - sample.x;
    const std::int64_t apart = (dy * dy + dx * dx) * 16 / (side * side) + 1;
    std::int64_t color = 0;
    for (int c = 0; c < 3; ++c) color += std::abs(other.pixel[c] - sample.pixel[c]);
    near.add(other, apart + apart * color / 512);
  });
  for (int i = 0; i < near.size; ++i) {
    near.weight[i] = std::max<std::int64_t>((1 << 20) / near.distance[i], 1);
  }
  return near;
}

// ---- Prediction --------------------------------------------------------------------------------

// What a channel has learned of how the picture was rendered.
struct Channel {
  // Color alone, all over the picture; then what is left, from the surroundings: lately, lately
  // where the picture is clipped, and all over the picture.
  Curve curve{12, 1 << 18};
  Detail recent{8, 1 << 12}, recent_clipped{8, 1 << 12}, steady{12, 1 << 12};
  ResidualModel residual;
};

// A cubic of each color and their products, without constant scale: all within +-2^12.
Curve::Features color_features(const Colors& pixel) {
  const std::int32_t r = pixel[kRed] - kUnit / 2, g = pixel[kGreen] - kUnit / 2,
                     b = pixel[kBlue] - kUnit / 2;
  const auto times = [](std::int32_t p, std::int32_t q) { return p * q >> 11; };
  return {1024,
          r,
          g,
          b,
          times(r, r),
          times(g, g),
          times(b, b),
          times(r, g),
          times(r, b),
          times(g, b),
          times(times(r, r), r),
          times(times(g, g), g),
          times(times(b, b), b)};
}

// `offset` of the sample holds those of the channels coded before; the others are 0.
Detail::Features detail_features(const Patch& patch, const Neighborhood& near, int channel,
                                 std::int32_t smooth, const Colors& offset) {
  Detail::Features features{};
  std::size_t next = 0;
  for (int i = 0; i < kNeighbors; ++i) {
    features[next++] = i < near.size ? near.sample[i]->offset[channel] : smooth;
  }
  for (int c = 0; c < 3; ++c) features[next++] = patch.pixel[c] - patch.ring[c];
  for (int c = 0; c < 3; ++c) features[next++] = patch.outer[c] - patch.ring[c];
  features[next++] = smooth;
  features[next++] = 256;
  features[next++] = channel == kGreen ? 0 : offset[kGreen];
  features[next++] = channel == kBlue ? offset[kRed] : 0;
  return features;
}

// Mean of the candidates in 1 / 16 units, each weighted by how well it did nearby (T. Seemann,
// P. Tischer, "Generalized locally adaptive DPCM", Data Compression Conference 1997).
std::int32_t blend(const std::array<std::int32_t, kCandidates>& candidates, int channel,
                   const Neighborhood& near) {
  std::int64_t weights = 0, weighted = 0;
  for (int i = 0; i < kCandidates; ++i) {
    std::int64_t miss = 8;
    for (int k = 0; k < near.size; ++k) miss += near.sample[k]->miss[channel][i];
    const std::int64_t weight = (std::int64_t{1} << 40) / (miss * miss);
    weights += weight;
    weighted += weight * candidates[i];
  }
  return static_cast<std::int32_t>((kFraction * weighted + weights / 2) / weights);
}

// ---- Contexts ----------------------------------------------------------------------------------

// 0 to 2, 0 being a missing neighbor's too.
int sign(std::int32_t value) { return value > 0 ? 2 : value < 0 ? 1 : 0; }

// Where a residual of another channel lies, in whole codes: 0 below, 1 at, 2 above.
int side(std::int32_t residual) { return residual > kFraction ? 2 : residual < -kFraction ? 0 : 1; }

int octaves(std::int64_t length, int most) { return std::min(half_octaves(length), most); }

ResidualModel::Situation situation(const Sample& sample, const Patch& patch, int channel,
                                   const Neighborhood& near, std::int32_t spread,
                                   std::int32_t fraction) {
  const bool green = channel == kGreen, blue = channel == kBlue;
  const std::int32_t in_green = green ? 0 : sample.residual[kGreen];
  const std::int32_t in_red = blue ? sample.residual[kRed] : 0;
  const std::int64_t around =
      near.mean(4, 256, [&](const Sample& other) { return std::abs(other.residual[channel]); });
  const std::int64_t expected =
      around + 2 * (std::abs(in_green) + std::abs(in_red) + std::abs(spread));
  const auto beside = [&](int i) {
    return i < near.size ? sign(near.sample[i]->residual[channel]) : 0;
  };
  const int scale = octaves(expected, 31), apart = octaves(std::abs(spread), 15);
  const int look = octaves(patch.activity, 14) * 32 + (patch.pixel[kGreen] >> 8) * 2 +
                   static_cast<int>(patch.clipped);
  const int own_side = side(in_green) * 3 + side(in_red);
  return {{scale * 16 + fraction, look, own_side * 16 + fraction,
           apart * 32 + fraction * 2 + (spread > 0), (beside(0) * 3 + beside(1)) * 16 + fraction},
          {scale * 4 + fraction / 4, look,
           octaves(4 * std::abs(in_green), 15) * 16 + octaves(4 * std::abs(in_red), 15),
           octaves(around, 31) * 16 + apart, scale * 3 + sign(in_green)},
          octaves(expected, ResidualModel::kScales - 1)};
}

// ---- The walk ----------------------------------------------------------------------------------

template <class Coder>
void code_channel(Coder& coder, Channel& model, Sample& sample, const Patch& patch, int channel,
                  const Neighborhood& near, int& value, int most) {
  const Curve::Features color = color_features(patch.pixel);
  const auto confined = [](std::int32_t v) { return std::clamp<std::int32_t>(v, 0, kUnit); };
  const std::int32_t base = confined(model.curve.predict(color));
  const std::int32_t smooth =
      near.mean(1, 0, [&](const Sample& other) { return other.offset[channel]; });
  const Detail::Features detail = detail_features(patch, near, channel, smooth, sample.offset);
  Detail& recent = patch.clipped ? model.recent_clipped : model.recent;
  const std::array<std::int32_t, kCandidates> candidates = {
      confined(base + recent.predict(detail)), confined(base + model.steady.predict(detail)),
      confined(base + smooth), base,
      confined(base + (channel == kGreen ? 0 : sample.offset[kGreen]))};
  const std::int32_t predicted = blend(candidates, channel, near);
  const auto place = static_cast<std::int32_t>(std::int64_t{predicted} * most / kUnit);

  const ResidualModel::Situation here =
      situation(sample, patch, channel, near, candidates[0] - candidates[3], place % kFraction);
  value = model.residual.code(coder, here, value, place / kFraction, most);

  const auto found = static_cast<std::int32_t>((std::int64_t{2} * kUnit * value / most + 1) / 2);
  sample.offset[channel] = found - base;
  sample.residual[channel] = kFraction * value - place;
  for (int i = 0; i < kCandidates; ++i) {
    sample.miss[channel][i] = std::abs(found - candidates[i]);
  }
  model.curve.update(color, found);
  recent.update(detail, found - base);
  model.steady.update(detail, found - base);
}

template <class Coder>
void code_values(Coder& coder, std::span<std::uint16_t> values, std::span<const std::int64_t> index,
                 std::span<const std::uint8_t> pixels, const Grid& grid, int most) {
  const auto models = std::make_unique<std::array<Channel, 3>>();
  const Picture picture(pixels, grid);
  Surroundings<Sample> surroundings(grid);
  for (const std::uint32_t i : block_order(index, grid)) {
    const std::int64_t y = index[i] / grid.width, x = index[i] % grid.width;
    const Patch patch = picture.at(y, x);
    Sample sample{.known = true,
                  .y = static_cast<std::int32_t>(y),
                  .x = static_cast<std::int32_t>(x),
                  .pixel = patch.pixel};
    const Neighborhood near = neighbors(surroundings, sample, grid.side);
    for (const int channel : kCodingOrder) {
      int value = values[3 * std::size_t{i} + channel];
      code_channel(coder, (*models)[channel], sample, patch, channel, near, value, most);
      values[3 * std::size_t{i} + channel] = static_cast<std::uint16_t>(value);
    }
    surroundings.remember(sample);
  }
}

}  // namespace

Bytes encode_predicted(std::span<const std::uint16_t> values, std::span<const std::int64_t> index,
                       std::span<const std::uint8_t> pixels, const Grid& grid, int most) {
  std::vector<std::uint16_t> copy(values.begin(), values.end());
  Encoder coder;
  code_values(coder, std::span(copy), index, pixels, grid, most);
  return coder.finish();
}

std::vector<std::uint16_t> decode_predicted(std::span<const std::uint8_t> bytes,
                                            std::span<const std::int64_t> index,
                                            std::span<const std::uint8_t> pixels, const Grid& grid,
                                            int most) {
  // Three coded bits a sample at least, none below 0.0113 bits: more cannot be in there.
  if (index.size() / 256 > bytes.size()) throw CorruptStream("too few bytes for the samples");
  std::vector<std::uint16_t> values(3 * index.size());
  Decoder coder(bytes);
  code_values(coder, std::span(values), index, pixels, grid, most);
  coder.finish();
  return values;
}

}  // namespace isp_meta::payload

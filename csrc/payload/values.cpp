#include "values.h"

#include <array>
#include <cstdlib>
#include <memory>

#include "magnitude.h"
#include "surroundings.h"

namespace isp_meta::payload {
namespace {

constexpr int kRed = 0, kGreen = 1, kBlue = 2;
constexpr std::array<int, 3> kCodingOrder = {kGreen, kRed, kBlue};
constexpr int kMostNeighbors = 6;
constexpr int kMostCandidates = 4;
constexpr int kScales = 48;

struct Sample {
  bool known = false;
  std::int64_t y = 0, x = 0;
  std::array<int, 3> value{};
  std::array<int, 3> residual{};
  // How far each candidate of each channel missed.
  std::array<std::array<int, kMostCandidates>, 3> miss{};
};

struct Neighborhood {
  std::array<const Sample*, kMostNeighbors> sample;
  std::array<std::int64_t, kMostNeighbors> weight;
  int size = 0;
};

struct Candidates {
  std::array<int, kMostCandidates> value;
  int size = 0;

  void add(std::int64_t candidate, int most) {
    value[size++] = static_cast<int>(std::clamp<std::int64_t>(candidate, 0, most));
  }
};

struct ChannelModel {
  std::array<MagnitudeModel, kScales> residual;
  std::array<AdaptiveBit, 9> negative;
};

int sign(int value) { return value > 0 ? 2 : value < 0 ? 1 : 0; }

Neighborhood neighbors(Surroundings<Sample>& surroundings, const Sample& sample,
                       std::int64_t side) {
  Neighborhood near;
  surroundings.each(sample.y, sample.x, [&](const Sample& other) {
    if (near.size == kMostNeighbors) return;
    const std::int64_t dy = other.y - sample.y, dx = other.x - sample.x;
    const std::int64_t distance = (dy * dy + dx * dx) * 4 / (side * side) + 1;
    near.sample[near.size] = &other;
    near.weight[near.size++] = std::max<std::int64_t>((1 << 20) / distance, 1);
  });
  return near;
}

// Neighbors whose coded channels look like this sample's count for more.
std::int64_t likeness(const Sample& a, const Sample& b, int channel) {
  std::int64_t apart = std::abs(a.value[kGreen] - b.value[kGreen]);
  if (channel == kBlue) apart += std::abs(a.value[kRed] - b.value[kRed]);
  const std::int64_t relative = 16 * apart / (a.value[kGreen] / 8 + 16);
  return 256 + relative * relative;
}

Candidates predict_green(const Neighborhood& near, int most) {
  Candidates candidates;
  std::int64_t weights = 0, weighted = 0, sum = 0;
  int nearest = 0;
  for (int i = 0; i < near.size; ++i) {
    const int value = near.sample[i]->value[kGreen];
    weights += near.weight[i];
    weighted += near.weight[i] * value;
    sum += value;
    if (near.weight[i] > near.weight[nearest]) nearest = i;
  }
  candidates.add(weighted / weights, most);
  candidates.add(near.sample[nearest]->value[kGreen], most);
  candidates.add(sum / near.size, most);
  if (near.size >= 3) {
    const int a = near.sample[0]->value[kGreen], b = near.sample[1]->value[kGreen],
              c = near.sample[2]->value[kGreen];
    candidates.add(std::max(std::min(a, b), std::min(std::max(a, b), c)), most);
  }
  return candidates;
}

Candidates predict_from_green(const Sample& sample, int channel, const Neighborhood& near,
                              int most) {
  std::int64_t weights = 0, own = 0, green = 0, red = 0, plain_own = 0, plain_green = 0;
  for (int i = 0; i < near.size; ++i) {
    const Sample& other = *near.sample[i];
    const std::int64_t weight =
        std::max<std::int64_t>(near.weight[i] * 256 / likeness(sample, other, channel), 1);
    weights += weight;
    own += weight * other.value[channel];
    green += weight * other.value[kGreen];
    red += weight * other.value[kRed];
    plain_own += near.weight[i] * other.value[channel];
    plain_green += near.weight[i] * other.value[kGreen];
  }
  const std::int64_t mean = own / weights;
  const auto scaled = [&](std::int64_t by, std::int64_t above, std::int64_t below) {
    return below ? by * above / below : mean;
  };
  Candidates candidates;
  candidates.add(sample.value[kGreen] + (own - green) / weights, most);
  candidates.add(scaled(sample.value[kGreen], own, green), most);
  candidates.add(mean, most);
  candidates.add(channel == kBlue ? scaled(sample.value[kRed], own, red)
                                  : scaled(sample.value[kGreen], plain_own, plain_green),
                 most);
  return candidates;
}

Candidates predict(const Sample& sample, int channel, const Neighborhood& near, int most) {
  if (near.size > 0) {
    return channel == kGreen ? predict_green(near, most)
                             : predict_from_green(sample, channel, near, most);
  }
  Candidates candidates;
  candidates.add(channel == kGreen ? 0 : sample.value[kGreen], most);
  return candidates;
}

// Mean of the candidates, each weighted by how well it did nearby (T. Seemann, P. Tischer,
// "Generalized locally adaptive DPCM", Data Compression Conference 1997).
int blend(const Candidates& candidates, int channel, const Neighborhood& near) {
  std::int64_t weights = 0, weighted = 0;
  for (int i = 0; i < candidates.size; ++i) {
    std::int64_t miss = 4;
    for (int k = 0; k < std::min(near.size, 4); ++k) miss += near.sample[k]->miss[channel][i];
    const std::int64_t weight = (std::int64_t{1} << 40) / (miss * miss);
    weights += weight;
    weighted += weight * candidates.value[i];
  }
  return static_cast<int>((weighted + weights / 2) / weights);
}

// How large a residual to expect, in half octaves.
int scale(const Sample& sample, int channel, const Candidates& candidates,
          const Neighborhood& near) {
  std::int64_t weights = 0, weighted = 0;
  for (int k = 0; k < std::min(near.size, 5); ++k) {
    weights += near.weight[k];
    weighted += near.weight[k] * std::abs(near.sample[k]->residual[channel]);
  }
  std::int64_t expected = weights ? 4 * weighted / weights : 256;
  if (channel != kGreen) expected += 2 * std::abs(sample.residual[kGreen]);
  if (channel == kBlue) expected += 2 * std::abs(sample.residual[kRed]);
  if (candidates.size > 1) {
    expected += 2 * std::abs(candidates.value[0] - candidates.value[1]);
  }
  return half_octaves(expected);
}

AdaptiveBit& sign_model(ChannelModel& model, const Sample& sample, int channel,
                        const Neighborhood& near) {
  const auto beside = [&](int i) {
    return near.size > i ? sign(near.sample[i]->residual[channel]) : 0;
  };
  if (channel == kGreen) return model.negative[3 * beside(0) + beside(1)];
  const int second = channel == kBlue ? sign(sample.residual[kRed]) : beside(0);
  return model.negative[3 * sign(sample.residual[kGreen]) + second];
}

template <class Coder>
void code_channel(Coder& coder, ChannelModel& model, Sample& sample, int channel,
                  const Neighborhood& near, int most) {
  const int bits = std::bit_width(static_cast<unsigned>(most));
  const Candidates candidates = predict(sample, channel, near, most);
  const int predicted = blend(candidates, channel, near);
  const int wanted = sample.value[channel] - predicted;

  MagnitudeModel& magnitudes = model.residual[scale(sample, channel, candidates, near)];
  int residual = static_cast<int>(
      code_magnitude(coder, magnitudes, static_cast<std::uint32_t>(std::abs(wanted)), bits));
  if (residual && coder.code(wanted < 0, sign_model(model, sample, channel, near))) {
    residual = -residual;
  }
  const int value = predicted + residual;
  if (value < 0 || value > most) throw CorruptStream("a sample's value is out of range");

  sample.value[channel] = value;
  sample.residual[channel] = residual;
  for (int i = 0; i < candidates.size; ++i) {
    sample.miss[channel][i] = std::abs(value - candidates.value[i]);
  }
}

template <class Coder>
void code_values(Coder& coder, std::span<std::uint16_t> values, std::span<const std::int64_t> index,
                 const Grid& grid, int most) {
  const auto models = std::make_unique<std::array<ChannelModel, 3>>();
  Surroundings<Sample> surroundings(grid);
  for (const std::uint32_t i : block_order(index, grid)) {
    Sample sample{.known = true, .y = index[i] / grid.width, .x = index[i] % grid.width};
    const std::span<std::uint16_t, 3> own = values.subspan(3 * std::size_t{i}).first<3>();
    if constexpr (Coder::kEncodes) std::copy(own.begin(), own.end(), sample.value.begin());
    const Neighborhood near = neighbors(surroundings, sample, grid.side);
    for (const int channel : kCodingOrder) {
      code_channel(coder, (*models)[channel], sample, channel, near, most);
    }
    std::copy(sample.value.begin(), sample.value.end(), own.begin());
    surroundings.remember(sample);
  }
}

}  // namespace

Bytes encode_values(std::span<const std::uint16_t> values, std::span<const std::int64_t> index,
                    const Grid& grid, int most) {
  std::vector<std::uint16_t> copy(values.begin(), values.end());
  Encoder coder;
  code_values(coder, std::span(copy), index, grid, most);
  return coder.finish();
}

std::vector<std::uint16_t> decode_values(std::span<const std::uint8_t> bytes,
                                         std::span<const std::int64_t> index, const Grid& grid,
                                         int most) {
  // Three coded bits a sample at least, none below 0.0113 bits: more cannot be in there.
  if (index.size() / 256 > bytes.size()) throw CorruptStream("too few bytes for the samples");
  std::vector<std::uint16_t> values(3 * index.size());
  Decoder coder(bytes);
  code_values(coder, std::span(values), index, grid, most);
  coder.finish();
  return values;
}

}  // namespace isp_meta::payload

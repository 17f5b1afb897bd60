#include "mosaic.h"

#include <bit>
#include <memory>

#include "magnitude.h"
#include "mixing.h"
#include "stripes.h"

namespace isp_meta::payload {
namespace {

// What tells how far a prediction may miss.
constexpr std::size_t kContexts = 4;
constexpr int kSteps = 24;   // coded one by one, farther ones as a magnitude
constexpr int kShifts = 13;  // how many low bits of a distance may be split off, and one more
constexpr int kSideSlots = 512;
constexpr int kStepSlots = 2048;

struct MissModel {
  using Contexts = std::array<int, kContexts>;
  using Weights = MixWeights<kContexts>;

  std::array<std::array<AdaptiveBit, kSideSlots>, kContexts> side;
  std::array<Weights, kShifts> side_weights;
  std::array<std::array<std::array<AdaptiveBit, 2 * kStepSlots>, kContexts>, kSteps> step;
  std::array<std::array<Weights, kSteps>, kShifts> step_weights;
  std::array<std::array<std::array<AdaptiveBit, 4>, kSteps + 1>, kShifts> low;
  std::array<MagnitudeModel, kShifts> far;

  template <class Coder>
  static bool mixed(Coder& coder, std::array<AdaptiveBit*, kContexts> chosen, Weights& weights,
                    bool bit) {
    MixedBit<kContexts> model(chosen, weights);
    return coder.code(bit, model) != 0;
  }

  // A rank of 0 to top, near a prediction of whole part floor.
  template <class Coder>
  std::int32_t code(Coder& coder, std::int32_t rank, std::int32_t floor, std::int32_t top,
                    int shift, const Contexts& of_side, const Contexts& of_step) {
    bool above = false;
    if (floor < top) {
      std::array<AdaptiveBit*, kContexts> chosen;
      for (std::size_t i = 0; i < kContexts; ++i) chosen[i] = &side[i][of_side[i]];
      above = mixed(coder, chosen, side_weights[shift], rank > floor);
    }
    const std::int32_t room = above ? top - floor - 1 : floor;
    const std::int32_t distance = above ? rank - floor - 1 : floor - rank;
    const std::int32_t wanted = distance >> shift;
    int steps = 0;
    for (; steps < kSteps; ++steps) {
      std::array<AdaptiveBit*, kContexts> chosen;
      for (std::size_t i = 0; i < kContexts; ++i)
        chosen[i] = &step[steps][i][2 * of_step[i] + above];
      if (!mixed(coder, chosen, step_weights[shift][steps], wanted > steps)) break;
    }
    std::int32_t whole = steps;
    if (steps == kSteps) {
      whole += static_cast<std::int32_t>(code_magnitude(
          coder, far[shift], static_cast<std::uint32_t>(std::max(wanted - kSteps, 0)), 16));
    }
    std::int32_t result = whole;
    int left = shift;
    for (int i = 1; i < 4 && left > 0;) {
      --left;
      const std::uint32_t bit = coder.code(distance >> left & 1, low[shift][steps][i]);
      result = result << 1 | static_cast<std::int32_t>(bit);
      i = 2 * i + static_cast<int>(bit);
    }
    result = result << left | static_cast<std::int32_t>(coder.code_plain(
                                  static_cast<std::uint32_t>(distance) & ((1u << left) - 1), left));
    if (result < 0 || result > room) throw CorruptStream("a mosaic's pixel is out of range");
    return above ? floor + 1 + result : floor - result;
  }
};

int sign_of(std::int32_t value) { return (value > 0) - (value < 0) + 1; }

// Logarithm to base 2 in quarters, 0 for 0.
int quarters(std::uint32_t value) {
  const int length = std::bit_width(value);
  if (length < 3) return 4 * length - (length == 2 && value == 2 ? 2 : 0);
  return 4 * length + static_cast<int>(value >> (length - 3) & 3);
}

// Running mean of how far predictions missed, in 1 / 2^(kFraction + 8).
struct Expectation {
  std::uint32_t mean = 0;
  int seen = 0;

  void update(std::uint32_t size) {
    if (seen < 250) ++seen;
    const auto wanted = static_cast<std::int64_t>(std::min(size, 1u << 20)) << 8;
    mean = static_cast<std::uint32_t>(mean + (wanted - mean) / (seen + 1));
  }
};

template <class Coder>
void code_stripe(Coder& coder, Stripe& stripe, const MosaicModel& model, std::uint16_t* ranks) {
  const auto misses = std::make_unique<MissModel>();
  std::array<Expectation, kLevels> of_level{};
  std::array<std::array<Expectation, 4>, kLevels> expected{};
  Stripe::Features features;
  const std::int64_t stride = stripe.stride();
  for (std::int64_t y = 0; y < stripe.rows(); ++y) {
    for (std::int64_t x = 0; x < stripe.width(); ++x) {
      const int phase = model.pattern.phase(stripe.top() + y, x);
      const std::int32_t base = stripe.base(y, x, phase);
      const int level = model.level(base);
      stripe.gather(y, x, phase, base, features);
      const int kind = level * kClasses / kLevels;
      const std::int32_t prediction = stripe.predict(features, phase, kind, base);
      const std::int32_t floor = prediction >> kFraction;

      const std::int32_t* near = stripe.misses(y, x);
      const auto far = [near, stride](int dy, int dx) { return near[dy * stride + dx]; };
      const auto size = [&far](int dy, int dx) {
        return static_cast<std::uint32_t>(std::abs(far(dy, dx)));
      };
      const std::uint32_t around = (2 * (size(0, -1) + size(0, -2) + size(-1, 0) + size(-2, 0)) +
                                    size(-1, -1) + size(-1, 1) + size(-2, -2) + size(-2, 2) +
                                    size(0, -3) + size(-1, -2) + size(-1, 2) + size(-2, -1)) /
                                   16;
      const auto change = static_cast<std::uint32_t>(stripe.activity(y, x, phase));
      const std::uint32_t usual = of_level[level].mean >> 8;
      const int texture = change < 2 * usual    ? 0
                          : change < 5 * usual  ? 1
                          : change < 12 * usual ? 2
                                                : 3;
      Expectation& expectation = expected[level][texture];
      const std::uint32_t scale = (around + (expectation.mean >> 8)) / 2;
      const int shift =
          std::clamp(static_cast<int>(std::bit_width(scale >> kFraction)) - 2, 0, kShifts - 1);
      const int fraction = prediction & ((1 << kFraction) - 1);
      const int part = shift < 3 ? fraction >> 2 : 0;
      const int nearest = std::min(quarters(size(0, -1) >> 1) / 2, 23);
      const int upper = std::min(quarters(size(-1, 0) >> 1) / 2, 23);
      MissModel::Contexts of_step = {
          std::min(quarters(scale), 80) * 4 + part,
          (level * 4 + texture) * kShifts + shift,
          std::min(quarters(around), 80) * 20 + std::min(quarters(expectation.mean >> 8) / 4, 19),
          nearest * 24 + upper,
      };
      const int signs = sign_of(far(0, -1)) * 27 + sign_of(far(-1, 0)) * 9 +
                        sign_of(far(0, -2)) * 3 + sign_of(far(-2, 0));
      MissModel::Contexts of_side = {
          part * kShifts + shift,
          signs,
          level * 4 + texture,
          std::min(quarters(around) / 2, 40) * 9 + sign_of(far(-1, -1)) * 3 + sign_of(far(-1, 1)),
      };
      std::uint16_t& rank = ranks[y * stripe.width() + x];
      rank = static_cast<std::uint16_t>(
          misses->code(coder, rank, floor, model.top, shift, of_side, of_step));
      stripe.learn(y, x, rank, base, prediction);
      expectation.update(size(0, 0));
      of_level[level].update(size(0, 0));
    }
  }
}

void put_length(Bytes& bytes, std::size_t length) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<std::uint8_t>(length >> shift));
}

}  // namespace

Bytes encode_mosaic(std::span<const std::uint16_t> codes, std::int64_t height, std::int64_t width,
                    const Pattern& pattern, const Guide& guide, int threads) {
  std::vector<std::uint16_t> rank_of(65536);
  std::vector<bool> there(65536);
  for (const std::uint16_t code : codes) there[code] = true;
  std::vector<std::uint16_t> used;
  for (int code = 0; code < 65536; ++code) {
    if (there[code]) used.push_back(static_cast<std::uint16_t>(code));
  }
  const bool sparse = 4 * used.size() < 3 * (std::size_t{used.back()} + 1);
  const std::int32_t top = sparse ? static_cast<std::int32_t>(used.size()) - 1 : used.back();
  std::vector<std::uint16_t> ranks(codes.begin(), codes.end());
  if (sparse) {
    for (std::size_t i = 0; i < used.size(); ++i) rank_of[used[i]] = static_cast<std::uint16_t>(i);
    for (std::uint16_t& rank : ranks) rank = rank_of[rank];
  } else {
    used.clear();
  }
  MosaicModel model = fit_mosaic(ranks, height, width, pattern, guide, used, top, threads);
  const std::int64_t count = Stripe::count(height, width), tall = Stripe::rows_of(width);
  std::vector<Bytes> parts(1 + count);
  Encoder head;
  model.code(head);
  parts[0] = head.finish();
  for_each_stripe(count, threads, [&](std::int64_t i) {
    const std::int64_t first = i * tall;
    Stripe stripe(model, guide, first, std::min(tall, height - first), width);
    Encoder coder;
    code_stripe(coder, stripe, model, &ranks[first * width]);
    parts[i + 1] = coder.finish();
  });
  Bytes bytes;
  for (const Bytes& part : parts) put_length(bytes, part.size());
  for (const Bytes& part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

std::vector<std::uint16_t> decode_mosaic(std::span<const std::uint8_t> bytes, std::int64_t height,
                                         std::int64_t width, const Pattern& pattern,
                                         const Guide& guide, int threads) {
  const std::int64_t tall = Stripe::rows_of(width);
  const auto count = static_cast<std::size_t>(Stripe::count(height, width)) + 1;
  // No pixel takes less than one coded bit, 0.0113 bits at the least.
  if (bytes.size() < 4 * count || bytes.size() < static_cast<std::size_t>(height * width / 1024)) {
    throw CorruptStream("a mosaic's data is too short");
  }
  std::vector<std::span<const std::uint8_t>> parts;
  std::size_t place = 4 * count;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = std::size_t{bytes[4 * i]} << 24 |
                               std::size_t{bytes[4 * i + 1]} << 16 |
                               std::size_t{bytes[4 * i + 2]} << 8 | bytes[4 * i + 3];
    if (length > bytes.size() - place) throw CorruptStream("a mosaic's data ends too early");
    parts.push_back(bytes.subspan(place, length));
    place += length;
  }
  if (place != bytes.size()) throw CorruptStream("a mosaic's data is too long");
  MosaicModel model;
  model.pattern = pattern;
  model.guided = guide.pixels != nullptr;
  Decoder head(parts[0]);
  model.code(head);
  head.finish();
  std::vector<std::uint16_t> codes(height * width);
  for_each_stripe(count - 1, threads, [&](std::int64_t i) {
    const std::int64_t first = i * tall, rows = std::min(tall, height - first);
    Stripe stripe(model, guide, first, rows, width);
    Decoder coder(parts[i + 1]);
    code_stripe(coder, stripe, model, &codes[first * width]);
    coder.finish();
    for (std::int64_t j = first * width; j < (first + rows) * width; ++j) {
      codes[j] = model.code_of(codes[j]);
    }
  });
  return codes;
}

}  // namespace isp_meta::payload

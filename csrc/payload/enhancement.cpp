#include "enhancement.h"

#include <array>
#include <cstdlib>
#include <memory>

#include "magnitude.h"
#include "mixing.h"
#include "stripes.h"

namespace isp_meta::payload {
namespace {

constexpr int kChannels = kMostChannels;
constexpr std::int64_t kStripeRows = 64;  // of blocks
constexpr int kMostBits = 15;

// Row-major places of a block by rising frequency, each diagonal walked the other way.
constexpr std::array<std::uint8_t, kBlockArea> kZigzag = [] {
  std::array<std::uint8_t, kBlockArea> order{};
  int next = 0;
  for (int diagonal = 0; diagonal < 2 * kBlockSide - 1; ++diagonal) {
    for (int step = 0; step <= diagonal; ++step) {
      const int row = diagonal % 2 ? step : diagonal - step, column = diagonal - row;
      if (row < kBlockSide && column < kBlockSide) {
        order[next++] = static_cast<std::uint8_t>(row * kBlockSide + column);
      }
    }
  }
  return order;
}();

// Classes of a number that is mostly small, 0 to 11.
constexpr int kSizes = 12;
int size_class(int value) {
  if (value < 5) return value;
  for (int i = 0; int limit : {7, 9, 13, 21, 41, 101}) {
    if (value < limit) return 5 + i;
    ++i;
  }
  return kSizes - 1;
}

// Classes of how many coefficients a block has up to its last that is not 0.
constexpr int kEnds = 5;
int end_class(int end) { return end < 2 ? end : end < 4 ? 2 : end < 10 ? 3 : 4; }

int sign_class(int value) { return (value > 0) - (value < 0) + 1; }

template <std::size_t kContexts, int kSlots>
class Mixed {
 public:
  using Slots = std::array<int, kContexts>;

  template <class Coder>
  bool code(Coder& coder, const Slots& slots, bool bit) {
    std::array<AdaptiveBit*, kContexts> chosen;
    for (std::size_t i = 0; i < kContexts; ++i) chosen[i] = &models_[i][slots[i]];
    MixedBit<kContexts, 16> model(chosen, weights_);
    return coder.code(bit, model) != 0;
  }

 private:
  std::array<std::array<AdaptiveBit, kSlots>, kContexts> models_;
  MixWeights<kContexts> weights_;
};

// Rows of blocks that know nothing of the others, so that threads can work on several.
template <class Coder, class Level>
class Stripe {
 public:
  Stripe(Coder& coder, Level* levels, const BlockGrid& grid)
      : coder_(coder),
        levels_(levels),
        columns_(grid.columns),
        channels_(static_cast<int>(grid.channels)),
        ends_(kChannels * (grid.columns + 2) * 2) {}

  void code(std::int64_t rows) {
    for (row_ = 0; row_ < rows; ++row_) {
      for (column_ = 0; column_ < columns_; ++column_) {
        for (channel_ = 0; channel_ < channels_; ++channel_) code_block();
      }
    }
  }

 private:
  static constexpr int kSteps = 8;

  // The block at some distance, nullptr where there is none.
  Level* block(int rows, int columns, int channel) const {
    const std::int64_t y = row_ + rows, x = column_ + columns;
    if (y < 0 || x < 0 || x >= columns_) return nullptr;
    return levels_ + ((y * columns_ + x) * channels_ + channel) * kBlockArea;
  }

  // Ends of this row of blocks and the one above; 0 outside.
  std::uint8_t& end(int rows, int columns, int channel) {
    const std::int64_t line = (row_ + rows) & 1;
    return ends_[(line * (columns_ + 2) + column_ + columns + 1) * kChannels + channel];
  }

  void code_block() {
    own_ = block(0, 0, channel_);
    around_ = {block(0, -1, channel_), block(-1, 0, channel_), block(-1, -1, channel_),
               block(-1, 1, channel_)};
    before_ = {channel_ > 0 ? block(0, 0, channel_ - 1) : nullptr,
               channel_ > 1 ? block(0, 0, channel_ - 2) : nullptr};
    const int length = code_end();
    end(0, 0, channel_) = static_cast<std::uint8_t>(length);
    int found = 0;
    for (int place = length - 1; place >= 0; --place) {
      found += code_level(place, length, found);
    }
  }

  int code_end() {
    int wanted = 0;
    if constexpr (Coder::kEncodes) {
      for (int place = 0; place < kBlockArea; ++place) {
        if (own_[kZigzag[place]]) wanted = place + 1;
      }
    }
    const bool top = row_ == 0;
    const int left = end_class(end(0, -1, channel_));
    const int above = top ? 0 : end_class(end(-1, 0, channel_));
    const int corner = top ? 0 : end_class(end(-1, -1, channel_));
    const int ahead = top ? 0 : end_class(end(-1, 1, channel_));
    const int first = channel_ > 0 ? end_class(end(0, 0, channel_ - 1)) : 0;
    const int second = channel_ > 1 ? end_class(end(0, 0, channel_ - 2)) : 0;
    int energy = 0;
    for (const Level* other : around_) {
      if (other) energy += std::abs(other[0]) + std::abs(other[1]) + std::abs(other[kBlockSide]);
    }
    const auto slot = [this](int a, int b, int c) {
      return ((channel_ * kEnds + a) * kEnds + b) * kEnds + c;
    };
    const bool some = some_.code(coder_,
                                 {slot(left, above, 0), slot(corner, ahead, left),
                                  slot(first, second, 0), channel_ * kSizes + size_class(energy)},
                                 wanted > 0);
    if (!some) return 0;
    MagnitudeModel& model = ends_model_[channel_][std::max(left, above)][first];
    const int result =
        1 + static_cast<int>(code_magnitude(
                coder_, model, static_cast<std::uint32_t>(std::max(wanted - 1, 0)), 6));
    if (result > kBlockArea) throw CorruptStream("a block has too many coefficients");
    return result;
  }

  int size(const Level* other, int row, int column) const {
    if (!other || row >= kBlockSide || column >= kBlockSide) return 0;
    return std::abs(other[row * kBlockSide + column]);
  }

  // Of a place in zigzag order; returns whether it is not 0.
  bool code_level(int place, int length, int found) {
    const int where = kZigzag[place], row = where / kBlockSide, column = where % kBlockSide;
    const int inside = 2 * (size(own_, row + 1, column) + size(own_, row, column + 1)) +
                       size(own_, row + 1, column + 1) + size(own_, row + 2, column) +
                       size(own_, row, column + 2);
    const int outside = 2 * (size(around_[0], row, column) + size(around_[1], row, column)) +
                        size(around_[2], row, column) + size(around_[3], row, column);
    const int earlier = 2 * (size(before_[0], row, column) + size(before_[1], row, column)) +
                        size(before_[0], row + 1, column) + size(before_[0], row, column + 1);
    const int band = std::min((row + column + 1) / 2, 5);
    const int in = size_class(inside), out = size_class(outside), back = size_class(earlier);
    const Slots slots = {
        channel_ * static_cast<int>(kBlockArea) + place,
        (channel_ * kSizes + in) * 6 + band,
        (channel_ * kSizes + out) * 6 + band,
        (channel_ * kSizes + back) * 6 + in / 2,
        (std::min(found, 7) * 8 + (length - 1) / 8) * 8 + place / 8,
        (in * kSizes + out) * kChannels + channel_,
    };
    const int wanted = std::abs(own_[where]);
    int size = place == length - 1;
    while (size < kSteps && step_[size].code(coder_, slots, wanted > size)) ++size;
    if (size == kSteps) {
      size += static_cast<int>(
          code_magnitude(coder_, far_[channel_],
                         static_cast<std::uint32_t>(std::max(wanted - kSteps, 0)), kMostBits));
    }
    if (size > (1 << kMostBits) - 1) throw CorruptStream("a coefficient is out of range");
    if (size == 0) {
      if constexpr (!Coder::kEncodes) own_[where] = 0;
      return false;
    }
    const auto sign = [where](const Level* other) { return other ? sign_class(other[where]) : 1; };
    const int near = place == 0 ? 1 + 3 * sign(around_[0]) + sign(around_[1]) : 0;
    const int same = (3 * sign(before_[0]) + sign(before_[1])) * 4 + std::min(place, 3);
    const bool negative =
        sign_.code(coder_, {channel_ * 10 + near, channel_ * 36 + same}, own_[where] < 0);
    if constexpr (!Coder::kEncodes) own_[where] = static_cast<Level>(negative ? -size : size);
    return true;
  }

  using Slots = std::array<int, 6>;

  Coder& coder_;
  Level* levels_;
  std::int64_t columns_, row_ = 0, column_ = 0;
  int channels_, channel_ = 0;
  Level* own_ = nullptr;
  std::array<const Level*, 4> around_{};  // left, above, above left, above right
  std::array<const Level*, 2> before_{};  // the channels before this one, the last first
  std::vector<std::uint8_t> ends_;
  Mixed<4, kChannels * kEnds * kEnds * kEnds> some_;
  std::array<std::array<std::array<MagnitudeModel, kEnds>, kEnds>, kChannels> ends_model_;
  std::array<Mixed<6, 576>, kSteps> step_;
  std::array<MagnitudeModel, kChannels> far_;
  Mixed<2, 144> sign_;
};

std::int64_t stripes_of(std::int64_t rows) { return (rows + kStripeRows - 1) / kStripeRows; }

template <class Coder, class Level>
void code_stripe(Coder& coder, Level* levels, const BlockGrid& grid, std::int64_t stripe) {
  const std::int64_t first = stripe * kStripeRows;
  const auto work =
      std::make_unique<Stripe<Coder, Level>>(coder, levels + first * grid.row_levels(), grid);
  work->code(std::min(kStripeRows, grid.rows - first));
}

}  // namespace

Bytes encode_enhancement(std::span<const std::int16_t> levels, const BlockGrid& grid, int threads) {
  std::vector<Bytes> parts(stripes_of(grid.rows));
  for_each_stripe(std::ssize(parts), threads, [&](std::int64_t i) {
    Encoder coder;
    code_stripe(coder, levels.data(), grid, i);
    parts[i] = coder.finish();
  });
  Bytes bytes;
  for (const Bytes& part : parts) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<std::uint8_t>(part.size() >> shift));
    }
  }
  for (const Bytes& part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

std::vector<std::int16_t> decode_enhancement(std::span<const std::uint8_t> bytes,
                                             const BlockGrid& grid, int threads) {
  const auto count = static_cast<std::size_t>(stripes_of(grid.rows));
  // No channel of a block takes less than a coded bit, 0.0113 bits at the least.
  if (bytes.size() < 4 * count ||
      bytes.size() < static_cast<std::size_t>(grid.rows * grid.columns * grid.channels / 1024)) {
    throw CorruptStream("its data is too short");
  }
  std::vector<std::span<const std::uint8_t>> parts;
  std::size_t place = 4 * count;
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t length = 0;
    for (std::size_t j = 4 * i; j < 4 * i + 4; ++j) length = length << 8 | bytes[j];
    if (length > bytes.size() - place) throw CorruptStream("its data ends too early");
    parts.push_back(bytes.subspan(place, length));
    place += length;
  }
  if (place != bytes.size()) throw CorruptStream("its data is too long");
  std::vector<std::int16_t> levels(grid.rows * grid.row_levels());
  for_each_stripe(std::ssize(parts), threads, [&](std::int64_t i) {
    Decoder coder(parts[i]);
    code_stripe(coder, levels.data(), grid, i);
    coder.finish();
  });
  return levels;
}

}  // namespace isp_meta::payload

// Adaptive binary range coder, integers only, so that every machine writes the same bytes.
//
// Encoder and Decoder share one face: code(bit, model) writes its argument, or ignores it and
// returns the bit that it read. An algorithm templated on the coder is then written once, and
// reader and writer cannot drift apart. A model has chance_of_one(), of 2^16 and no nearer to 0 or
// 2^16 than kLeastProbability, and update(bit): AdaptiveBit here, MixedBit in mixing.h.
//
// Source: G. N. N. Martin, "Range encoding", 1979; carry handling as in LZMA (I. Pavlov).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace isp_meta::payload {

using Bytes = std::vector<std::uint8_t>;

// Bytes that no encoder of ours wrote.
struct CorruptStream : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr int kProbabilityBits = 16;
inline constexpr std::uint32_t kHalf = 1u << (kProbabilityBits - 1);

// No bit costs less than -log2(127/128) = 0.0113 bits: what a stream can expand to stays bounded.
inline constexpr std::uint32_t kLeastProbability = 512;

inline std::uint32_t clamp_chance(std::int64_t chance) {
  constexpr std::int64_t most = (1 << kProbabilityBits) - kLeastProbability;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(chance, kLeastProbability, most));
}

// Estimates the chance of a 1 as the mean of what it has seen, later as a mean over the last 255.
class AdaptiveBit {
 public:
  std::uint32_t chance_of_one() const { return clamp_chance(chance_); }

  void update(std::uint32_t bit) {
    const int target = bit ? (1 << kProbabilityBits) - 1 : 0;
    const int step = (target - static_cast<int>(chance_)) * 2 / (2 * seen_ + 3);
    chance_ = static_cast<std::uint16_t>(chance_ + step);
    if (seen_ < 254) ++seen_;
  }

 private:
  std::uint16_t chance_ = kHalf;
  std::uint16_t seen_ = 0;
};

class Encoder {
 public:
  static constexpr bool kEncodes = true;

  template <class Model>
  std::uint32_t code(std::uint32_t bit, Model& model) {
    split(bit, (range_ >> kProbabilityBits) * model.chance_of_one());
    model.update(bit);
    return bit;
  }

  // Bits of equal chance, most significant first.
  std::uint32_t code_plain(std::uint32_t value, int width) {
    for (int place = width - 1; place >= 0; --place) split(value >> place & 1, range_ >> 1);
    return value;
  }

  Bytes finish() {
    for (int i = 0; i < 5; ++i) shift_low();
    return std::move(bytes_);
  }

 private:
  void split(std::uint32_t bit, std::uint32_t bound) {
    if (bit) {
      range_ = bound;
    } else {
      low_ += bound;
      range_ -= bound;
    }
    while (range_ < (1u << 24)) {
      range_ <<= 8;
      shift_low();
    }
  }

  // A byte waits until no carry can reach it any more; 0xFF bytes behind it wait as a count.
  void shift_low() {
    if (low_ < 0xFF000000u || low_ > 0xFFFFFFFFu) {
      const auto carry = static_cast<std::uint8_t>(low_ >> 32);
      if (started_) bytes_.push_back(static_cast<std::uint8_t>(waiting_ + carry));
      for (; waiting_ff_ > 0; --waiting_ff_) {
        bytes_.push_back(static_cast<std::uint8_t>(0xFF + carry));
      }
      waiting_ = static_cast<std::uint8_t>(low_ >> 24);
      started_ = true;
    } else {
      ++waiting_ff_;
    }
    low_ = (low_ & 0x00FFFFFFu) << 8;
  }

  std::uint64_t low_ = 0;
  std::uint32_t range_ = 0xFFFFFFFFu;
  std::uint8_t waiting_ = 0;
  std::size_t waiting_ff_ = 0;
  bool started_ = false;
  Bytes bytes_;
};

class Decoder {
 public:
  static constexpr bool kEncodes = false;

  explicit Decoder(std::span<const std::uint8_t> bytes) : bytes_(bytes) {
    for (int i = 0; i < 4; ++i) code_ = code_ << 8 | next();
  }

  std::size_t size() const { return bytes_.size(); }

  template <class Model>
  std::uint32_t code(std::uint32_t, Model& model) {
    const std::uint32_t bit = split((range_ >> kProbabilityBits) * model.chance_of_one());
    model.update(bit);
    return bit;
  }

  std::uint32_t code_plain(std::uint32_t, int width) {
    std::uint32_t value = 0;
    for (int i = 0; i < width; ++i) value = value << 1 | split(range_ >> 1);
    return value;
  }

  // An encoder's stream is used up to its last byte and leaves nothing behind.
  void finish() const {
    if (place_ != bytes_.size() || code_ != 0) throw CorruptStream("coded data has a wrong end");
  }

 private:
  std::uint32_t split(std::uint32_t bound) {
    const std::uint32_t bit = code_ < bound;
    if (bit) {
      range_ = bound;
    } else {
      code_ -= bound;
      range_ -= bound;
    }
    while (range_ < (1u << 24)) {
      range_ <<= 8;
      code_ = code_ << 8 | next();
    }
    return bit;
  }

  std::uint8_t next() {
    if (place_ == bytes_.size()) throw CorruptStream("coded data ends too early");
    return bytes_[place_++];
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t place_ = 0;
  std::uint32_t range_ = 0xFFFFFFFFu;
  std::uint32_t code_ = 0;
};

}  // namespace isp_meta::payload

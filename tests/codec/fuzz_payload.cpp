// Throws hostile bytes at the decoders, for as many seconds as asked for; built with sanitizers by
// `make check-coder`.
//
// Each round makes a genuine stream of a random picture, checks that it comes back, then damages it
// or invents one. Whatever a decoder returns must hold what its header promises.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "positions.h"
#include "predicted.h"
#include "values.h"

using namespace isp_meta::payload;

namespace {

std::mt19937_64 random_bits(1);

std::int64_t below(std::int64_t end) { return static_cast<std::int64_t>(random_bits() % end); }

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

std::vector<std::int64_t> random_index(std::int64_t pixels) {
  const std::int64_t step = 1 + below(below(4) ? 70 : 2);
  std::vector<std::int64_t> index;
  for (std::int64_t i = below(step); i < pixels; i += below(8) ? 1 + below(step) : step) {
    index.push_back(i);
  }
  return index;
}

template <class Number>
std::vector<Number> random_values(std::size_t count, int most) {
  std::vector<Number> values(count);
  const int kind = static_cast<int>(below(4));
  std::int64_t value = below(most + 1);
  for (Number& out : values) {
    if (kind == 0) value = below(most + 1);
    if (kind == 1) value = std::clamp<std::int64_t>(value + below(9) - 4, 0, most);
    if (kind == 2) value = below(2) * most;
    out = static_cast<Number>(value);
  }
  return values;
}

Bytes damage(Bytes bytes) {
  switch (below(4)) {
    case 0:
      bytes.resize(below(bytes.size() + 1));
      break;
    case 1:
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(below(256));
      if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(below(5));
      break;
    default:
      for (std::int64_t i = 1 + below(4); i > 0 && !bytes.empty(); --i) {
        bytes[below(bytes.size())] ^= static_cast<std::uint8_t>(1 + below(255));
      }
  }
  return bytes;
}

template <class Decode>
bool survives(Decode decode) {
  try {
    decode();
    return true;
  } catch (const CorruptStream&) {
    return false;
  }
}

}  // namespace

int main(int, char** arguments) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(std::atoi(arguments[1]));
  long rounds = 0, accepted = 0;
  for (; Clock::now() < end; ++rounds) {
    const std::int64_t height = 1 + below(90), width = 1 + below(90), cell = below(20);
    const int most = 1 + static_cast<int>(below(below(2) ? 400 : 65535));
    const auto index = random_index(height * width);
    const Grid grid = Grid::of(height, width, cell, index.size());
    const auto values = random_values<std::uint16_t>(3 * index.size(), most);
    const auto pixels = random_values<std::uint8_t>(3 * height * width, 255);
    const Bytes positions = encode_positions(index, grid, below(2));
    const Bytes coded = encode_values(values, index, grid, most);
    const Bytes predicted = encode_predicted(values, index, pixels, grid, most);
    require(decode_positions(positions, grid, index.size()) == index, "positions");
    require(decode_values(coded, index, grid, most) == values, "values");
    require(decode_predicted(predicted, index, pixels, grid, most) == values, "predicted");

    for (int i = 0; i < 20; ++i) {
      const std::size_t count = below(3) ? index.size() : below(height * width + 1);
      accepted += survives([&] {
        const auto found = decode_positions(damage(positions), grid, count);
        require(found.size() == count, "count of positions");
        check_index(found, grid);
      });
      const auto check = [&](const std::vector<std::uint16_t>& found) {
        require(found.size() == values.size(), "count of values");
        for (const auto value : found) require(value <= most, "range of values");
      };
      accepted += survives([&] { check(decode_values(damage(coded), index, grid, most)); });
      accepted +=
          survives([&] { check(decode_predicted(damage(predicted), index, pixels, grid, most)); });
    }
  }
  std::printf("%ld rounds, %ld streams, %ld accepted\n", rounds, 60 * rounds, accepted);
}

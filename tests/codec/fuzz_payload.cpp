// Throws hostile bytes at the decoders, for as many seconds as asked for; built with sanitizers by
// `make check-coder`.
//
// Each round makes a genuine stream of a random picture, checks that it comes back, then damages it
// or invents one. Whatever a decoder returns must hold what its header promises.
#include "fuzzing.h"
#include "positions.h"
#include "predicted.h"
#include "values.h"

using namespace isp_meta::payload;

namespace {

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

Bytes damage_or_invent(Bytes bytes) {
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

}  // namespace

int main(int count, char** arguments) {
  constexpr int kTries = 20;
  repeat(count, arguments, 3 * kTries, [] {
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

    long decoded = 0;
    for (int i = 0; i < kTries; ++i) {
      const std::size_t count = below(3) ? index.size() : below(height * width + 1);
      decoded += survives([&] {
        const auto found = decode_positions(damage_or_invent(positions), grid, count);
        require(found.size() == count, "count of positions");
        check_index(found, grid);
      });
      const auto check = [&](const std::vector<std::uint16_t>& found) {
        require(found.size() == values.size(), "count of values");
        for (const auto value : found) require(value <= most, "range of values");
      };
      decoded +=
          survives([&] { check(decode_values(damage_or_invent(coded), index, grid, most)); });
      decoded += survives(
          [&] { check(decode_predicted(damage_or_invent(predicted), index, pixels, grid, most)); });
    }
    return decoded;
  });
}

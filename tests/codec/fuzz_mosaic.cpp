// Throws hostile bytes at the decoder of mosaics, for as many seconds as asked for; built with
// sanitizers by `make check-coder`.
//
// Each round codes a random mosaic of a random pattern, checks that it comes back, then damages it:
// the decoder must end, and within its memory, whatever it returns.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "mosaic.h"

using namespace isp_meta::payload;

namespace {

std::mt19937_64 random_bits(1);

std::int64_t below(std::int64_t end) { return static_cast<std::int64_t>(random_bits() % end); }

Pattern random_pattern() {
  Pattern pattern{static_cast<int>(1 + below(6)), static_cast<int>(1 + below(6)), {}};
  for (int i = 0; i < pattern.phases(); ++i) {
    pattern.colors.push_back(static_cast<std::uint8_t>(below(3)));
  }
  return pattern;
}

std::vector<std::uint16_t> random_codes(std::int64_t count) {
  std::vector<std::uint16_t> codes(count);
  const std::int64_t most = std::int64_t{1} << below(17), step = 1 + below(below(2) ? 60 : 1);
  std::int64_t code = below(most);
  const bool smooth = below(2) != 0;
  for (std::uint16_t& out : codes) {
    code = smooth ? std::clamp<std::int64_t>(code + below(9) - 4, 0, most - 1) : below(most);
    out = static_cast<std::uint16_t>(code / step * step);
  }
  return codes;
}

Bytes damage(Bytes bytes, std::size_t head) {
  const std::size_t end = below(2) ? std::min(head, bytes.size()) : bytes.size();
  for (std::int64_t edits = 1 + below(6); edits > 0; --edits) {
    bytes[below(static_cast<std::int64_t>(end))] = static_cast<std::uint8_t>(below(256));
  }
  if (below(8) == 0) bytes.resize(below(static_cast<std::int64_t>(bytes.size())));
  return bytes;
}

}  // namespace

int main(int count, char** arguments) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(count > 1 ? std::atoi(arguments[1]) : 10);
  long rounds = 0, refused = 0, decoded = 0;
  for (; Clock::now() < end; ++rounds) {
    const std::int64_t height = 1 + below(300), width = 1 + below(below(2) ? 8 : 40);
    const Pattern pattern = random_pattern();
    const auto codes = random_codes(height * width);
    std::vector<std::uint8_t> picture(3 * height * width);
    for (std::uint8_t& code : picture) code = static_cast<std::uint8_t>(below(256));
    const Guide guide = below(2) ? Guide{picture.data(), height, width} : Guide{};
    const Bytes bytes = encode_mosaic(codes, height, width, pattern, guide, 2);
    if (decode_mosaic(bytes, height, width, pattern, guide, 2) != codes) {
      std::fprintf(stderr, "broken: a mosaic did not come back\n");
      std::abort();
    }
    for (int i = 0; i < 20; ++i) {
      try {
        decode_mosaic(damage(bytes, 600), height, width, pattern, guide, 1);
        ++decoded;
      } catch (const CorruptStream&) {
        ++refused;
      }
    }
  }
  std::printf("%ld mosaics came back; of damaged ones %ld were refused, %ld decoded\n", rounds,
              refused, decoded);
}

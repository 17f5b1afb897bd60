// Throws hostile bytes at the decoder of enhancements, for as many seconds as asked for; built with
// sanitizers by `make check-coder`.
//
// Each round codes random coefficients, checks that they come back, then damages their bytes: the
// decoder must end, and within its memory, whatever it returns.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "enhancement.h"

using namespace isp_meta::payload;

namespace {

std::mt19937_64 random_bits(1);

std::int64_t below(std::int64_t end) { return static_cast<std::int64_t>(random_bits() % end); }

std::vector<std::int16_t> random_levels(std::int64_t count) {
  std::vector<std::int16_t> levels(count);
  const std::int64_t most = std::int64_t{1} << below(16), rarity = 1 + below(below(2) ? 2 : 200);
  for (std::int16_t& level : levels) {
    if (below(rarity) == 0) level = static_cast<std::int16_t>(below(2 * most - 1) - most + 1);
  }
  return levels;
}

Bytes damage(Bytes bytes) {
  for (std::int64_t edits = 1 + below(6); edits > 0; --edits) {
    bytes[below(static_cast<std::int64_t>(bytes.size()))] = static_cast<std::uint8_t>(below(256));
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
    const std::int64_t rows = 1 + below(below(4) ? 8 : 140), columns = 1 + below(6);
    const auto levels = random_levels(rows * columns * kBlockLevels);
    const Bytes bytes = encode_enhancement(levels, rows, columns, 2);
    if (decode_enhancement(bytes, rows, columns, 2) != levels) {
      std::fprintf(stderr, "broken: coefficients did not come back\n");
      std::abort();
    }
    for (int i = 0; i < 20; ++i) {
      const bool same = below(4) != 0;
      try {
        decode_enhancement(damage(bytes), same ? rows : 1 + below(200), columns, 1);
        ++decoded;
      } catch (const CorruptStream&) {
        ++refused;
      }
    }
  }
  std::printf("%ld enhancements came back; of damaged ones %ld were refused, %ld decoded\n", rounds,
              refused, decoded);
}

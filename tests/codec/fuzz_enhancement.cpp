// Throws hostile bytes at the decoder of enhancements, for as many seconds as asked for; built with
// sanitizers by `make check-coder`.
//
// Each round codes random coefficients, checks that they come back, then damages their bytes: the
// decoder must end, and within its memory, whatever it returns.
#include "enhancement.h"
#include "fuzzing.h"

using namespace isp_meta::payload;

namespace {

std::vector<std::int16_t> random_levels(std::int64_t count) {
  std::vector<std::int16_t> levels(count);
  const std::int64_t most = std::int64_t{1} << below(16), rarity = 1 + below(below(2) ? 2 : 200);
  for (std::int16_t& level : levels) {
    if (below(rarity) == 0) level = static_cast<std::int16_t>(below(2 * most - 1) - most + 1);
  }
  return levels;
}

}  // namespace

int main(int count, char** arguments) {
  constexpr int kTries = 20;
  repeat(count, arguments, kTries, [] {
    const BlockGrid grid{1 + below(below(4) ? 8 : 140), 1 + below(6), 1 + below(kMostChannels)};
    const auto levels = random_levels(grid.rows * grid.row_levels());
    const Bytes bytes = encode_enhancement(levels, grid, 2);
    require(decode_enhancement(bytes, grid, 2) == levels, "coefficients");
    long decoded = 0;
    for (int i = 0; i < kTries; ++i) {
      const std::int64_t rows = below(4) ? grid.rows : 1 + below(200);
      const BlockGrid other{rows, grid.columns, grid.channels};
      decoded += survives([&] { decode_enhancement(damage(bytes, 60), other, 1); });
    }
    return decoded;
  });
}

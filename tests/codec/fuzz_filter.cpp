// Throws hostile bytes at the decoder of adaptive filters, for as many seconds as asked for; built
// with sanitizers by `make check-coder`.
//
// Each round codes random weights, checks that they come back, then damages their bytes: the
// decoder must end, and within its memory, whatever it returns.
#include "filter.h"
#include "fuzzing.h"

using namespace isp_meta::payload;

int main(int count, char** arguments) {
  constexpr int kTries = 20;
  repeat(count, arguments, kTries, [] {
    std::vector<std::uint8_t> colors(1 + below(24));
    for (std::uint8_t& color : colors) color = static_cast<std::uint8_t>(below(3));
    const FilterRows rows{colors, 1 + below(4)};
    const std::int64_t most = std::int64_t{1} << below(16);
    std::vector<std::int16_t> levels(colors.size() * kFilterFeatures);
    for (std::int16_t& level : levels) {
      level = static_cast<std::int16_t>(below(2 * most - 1) - most + 1);
    }
    const Bytes bytes = encode_filter(levels, rows);
    require(decode_filter(bytes, rows) == levels, "weights");
    long decoded = 0;
    for (int i = 0; i < kTries; ++i) {
      decoded += survives([&] { decode_filter(damage(bytes, 60), rows); });
    }
    return decoded;
  });
}

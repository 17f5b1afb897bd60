// Throws hostile bytes at the decoder of mosaics, for as many seconds as asked for; built with
// sanitizers by `make check-coder`.
//
// Each round codes a random mosaic of a random pattern, checks that it comes back, then damages it:
// the decoder must end, and within its memory, whatever it returns.
#include "fuzzing.h"
#include "mosaic.h"

using namespace isp_meta::payload;

namespace {

Pattern random_pattern() {
  Pattern pattern{static_cast<int>(1 + below(8)), static_cast<int>(1 + below(8)), {}};
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

}  // namespace

int main(int count, char** arguments) {
  constexpr int kTries = 20;
  repeat(count, arguments, kTries, [] {
    const std::int64_t height = 1 + below(300), width = 1 + below(below(2) ? 8 : 40);
    const Pattern pattern = random_pattern();
    const auto codes = random_codes(height * width);
    std::vector<std::uint8_t> picture(3 * height * width);
    for (std::uint8_t& code : picture) code = static_cast<std::uint8_t>(below(256));
    const Guide guide = below(2) ? Guide{picture.data(), height, width} : Guide{};
    const Bytes bytes = encode_mosaic(codes, height, width, pattern, guide, 2);
    require(decode_mosaic(bytes, height, width, pattern, guide, 2) == codes, "mosaic");
    long decoded = 0;
    for (int i = 0; i < kTries; ++i) {
      decoded +=
          survives([&] { decode_mosaic(damage(bytes, 600), height, width, pattern, guide, 1); });
    }
    return decoded;
  });
}

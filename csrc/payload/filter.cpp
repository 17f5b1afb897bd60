#include "filter.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

#include "magnitude.h"

namespace isp_meta::payload {
namespace {

constexpr std::int64_t kPairs = 12, kColors = 3;
constexpr int kBits = 15, kClasses = 6;

// Whether a plane is of raw or of the picture, and of the color that is filtered or another one.
std::int64_t relation(std::int64_t color, std::int64_t plane) {
  const bool shown = plane >= kColors, own = plane % kColors == color;
  return 2 * shown + !own;
}

template <class Coder, class Level>
void code_weights(Coder& coder, std::span<Level> levels, const FilterRows& rows) {
  std::array<std::array<MagnitudeModel, kClasses>, 4> sizes;
  std::array<std::array<AdaptiveBit, 3>, 4> negative;
  const auto count = std::ssize(levels), back = rows.before * kFilterFeatures;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t plane = i % kFilterFeatures / kPairs;
    const std::int64_t which = relation(rows.colors[i / kFilterFeatures], plane);
    const int before = i < back ? 0 : levels[i - back];
    const int length = std::bit_width(static_cast<unsigned>(std::abs(before)));
    auto& model = sizes[which][std::min(length, kClasses - 1)];
    const int level = levels[i];
    const auto size = static_cast<int>(
        code_magnitude(coder, model, static_cast<std::uint32_t>(std::abs(level)), kBits));
    const bool below = size != 0 && coder.code(level < 0, negative[which][before == 0  ? 0
                                                                          : before < 0 ? 1
                                                                                       : 2]);
    if constexpr (!Coder::kEncodes) levels[i] = static_cast<Level>(below ? -size : size);
  }
}

}  // namespace

Bytes encode_filter(std::span<const std::int16_t> levels, const FilterRows& rows) {
  Encoder coder;
  code_weights(coder, levels, rows);
  return coder.finish();
}

std::vector<std::int16_t> decode_filter(std::span<const std::uint8_t> bytes,
                                        const FilterRows& rows) {
  std::vector<std::int16_t> levels(rows.colors.size() * kFilterFeatures);
  Decoder coder(bytes);
  code_weights(coder, std::span(levels), rows);
  coder.finish();
  return levels;
}

}  // namespace isp_meta::payload

#include "mosaic_binding.h"

#include <string>

#include "arrays.h"
#include "grid.h"
#include "mosaic.h"

namespace py = pybind11;

namespace isp_meta::payload {
namespace {

Pattern to_pattern(const std::string& colors, int columns) {
  const auto count = static_cast<int>(colors.size());
  if (columns < 1 || columns > Pattern::kMostSide || count < 1 || count % columns != 0 ||
      count / columns > Pattern::kMostSide) {
    throw std::invalid_argument("a pattern has 1 to 8 rows and columns");
  }
  Pattern pattern{count / columns, columns, {}};
  for (const char color : colors) {
    const std::size_t index = std::string("RGB").find(color);
    if (index == std::string::npos) throw std::invalid_argument("a pattern has the colors RGB");
    pattern.colors.push_back(static_cast<std::uint8_t>(index));
  }
  return pattern;
}

// The finished picture of (3, H, W), or (0, 0, 0) for none.
Guide to_guide(const Array<std::uint8_t>& guide, std::int64_t height, std::int64_t width) {
  if (guide.size() == 0) return {};
  if (guide.ndim() != 3 || guide.shape(0) != kChannels || guide.shape(1) != height ||
      guide.shape(2) != width) {
    throw std::invalid_argument("the guide must be (3, H, W), of the mosaic's size");
  }
  return {guide.data(), height, width};
}

py::bytes py_encode_mosaic(const Array<std::uint16_t>& codes, const std::string& colors,
                           int columns, const Array<std::uint8_t>& guide, int threads) {
  if (codes.ndim() != 2) throw std::invalid_argument("codes must be (H, W)");
  const std::int64_t height = codes.shape(0), width = codes.shape(1);
  Grid::of(height, width, 0, 0);
  const Pattern pattern = to_pattern(colors, columns);
  const Guide picture = to_guide(guide, height, width);
  const auto all = view(codes);
  Bytes bytes;
  {
    const py::gil_scoped_release release;
    bytes = encode_mosaic(all, height, width, pattern, picture, threads);
  }
  return to_bytes(bytes);
}

Array<std::uint16_t> py_decode_mosaic(const py::bytes& data, std::int64_t height,
                                      std::int64_t width, const std::string& colors, int columns,
                                      const Array<std::uint8_t>& guide, int threads) {
  Grid::of(height, width, 0, 0);
  const Pattern pattern = to_pattern(colors, columns);
  const Guide picture = to_guide(guide, height, width);
  const auto bytes = view(data);
  std::vector<std::uint16_t> codes;
  {
    const py::gil_scoped_release release;
    codes = decode_mosaic(bytes, height, width, pattern, picture, threads);
  }
  return to_array(std::move(codes), {height, width});
}

}  // namespace

void bind_mosaic(py::module_& m) {
  using py::arg;
  m.def("encode_mosaic", &py_encode_mosaic, arg("codes").noconvert(), arg("colors"), arg("columns"),
        arg("guide").noconvert(), arg("threads"));
  m.def("decode_mosaic", &py_decode_mosaic, arg("data"), arg("height"), arg("width"), arg("colors"),
        arg("columns"), arg("guide").noconvert(), arg("threads"));
}

}  // namespace isp_meta::payload

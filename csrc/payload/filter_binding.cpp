#include "filter_binding.h"

#include <algorithm>

#include "arrays.h"
#include "filter.h"

namespace py = pybind11;

namespace isp_meta::payload {
namespace {

using Levels = Array<std::int16_t>;
using Colors = Array<std::uint8_t>;

constexpr std::int64_t kMostRows = 24;

FilterRows rows_of(const Colors& colors, std::int64_t before) {
  const auto all = view(colors);
  if (all.empty() || std::ssize(all) > kMostRows || before < 1 ||
      std::ranges::any_of(all, [](auto color) { return color > 2; })) {
    throw std::invalid_argument("colors must be 1 to 24 of 0 to 2, before at least 1");
  }
  return {all, before};
}

py::bytes py_encode_filter(const Levels& levels, const Colors& colors, std::int64_t before) {
  const FilterRows rows = rows_of(colors, before);
  if (levels.ndim() != 2 || levels.shape(0) != std::ssize(rows.colors) ||
      levels.shape(1) != kFilterFeatures) {
    throw std::invalid_argument("levels must be (rows, 72), a row for each color");
  }
  return to_bytes(encode_filter(view(levels), rows));
}

Levels py_decode_filter(const py::bytes& data, const Colors& colors, std::int64_t before) {
  const FilterRows rows = rows_of(colors, before);
  return to_array(decode_filter(view(data), rows), {std::ssize(rows.colors), kFilterFeatures});
}

}  // namespace

void bind_filter(py::module_& m) {
  using py::arg;
  m.def("encode_filter", &py_encode_filter, arg("levels").noconvert(), arg("colors").noconvert(),
        arg("before"));
  m.def("decode_filter", &py_decode_filter, arg("data"), arg("colors").noconvert(), arg("before"));
}

}  // namespace isp_meta::payload

#include "enhancement_binding.h"

#include <pybind11/numpy.h>

#include <utility>

#include "enhancement.h"
#include "grid.h"

namespace py = pybind11;

namespace isp_meta::payload {
namespace {

using Levels = py::array_t<std::int16_t, py::array::c_style>;

void check_size(std::int64_t rows, std::int64_t columns) {
  if (rows < 1 || columns < 1 || rows > kMostSide / kBlockSide ||
      columns > kMostSide / kBlockSide ||
      rows * columns > kMostPixels / kBlockArea + kMostSide / kBlockSide) {
    throw std::invalid_argument("rows or columns out of range");
  }
}

py::bytes py_encode_enhancement(const Levels& levels, int threads) {
  if (levels.ndim() != 4 || levels.shape(2) * levels.shape(3) != kBlockLevels) {
    throw std::invalid_argument("levels must be (rows, columns, 3, 64)");
  }
  const std::int64_t rows = levels.shape(0), columns = levels.shape(1);
  check_size(rows, columns);
  const std::span<const std::int16_t> all(levels.data(), static_cast<std::size_t>(levels.size()));
  Bytes bytes;
  {
    const py::gil_scoped_release release;
    bytes = encode_enhancement(all, rows, columns, threads);
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Levels py_decode_enhancement(const py::bytes& data, std::int64_t rows, std::int64_t columns,
                             int threads) {
  check_size(rows, columns);
  const std::string_view text = data;
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(text.data()),
                                            text.size());
  auto levels = std::make_unique<std::vector<std::int16_t>>();
  {
    const py::gil_scoped_release release;
    *levels = decode_enhancement(bytes, rows, columns, threads);
  }
  const std::int16_t* start = levels->data();
  const py::capsule keeper(levels.release(), [](void* pointer) {
    delete static_cast<std::vector<std::int16_t>*>(pointer);
  });
  return Levels({rows, columns, std::int64_t{3}, kBlockArea}, start, keeper);
}

}  // namespace

void bind_enhancement(py::module_& m) {
  using py::arg;
  m.def("encode_enhancement", &py_encode_enhancement, arg("levels").noconvert(), arg("threads"));
  m.def("decode_enhancement", &py_decode_enhancement, arg("data"), arg("rows"), arg("columns"),
        arg("threads"));
}

}  // namespace isp_meta::payload

#include "enhancement_binding.h"

#include "arrays.h"
#include "enhancement.h"
#include "grid.h"

namespace py = pybind11;

namespace isp_meta::payload {
namespace {

using Levels = Array<std::int16_t>;

BlockGrid grid_of(std::int64_t rows, std::int64_t columns, std::int64_t channels) {
  if (channels < 1 || channels > kMostChannels) {
    throw std::invalid_argument("channels out of range");
  }
  if (rows < 1 || columns < 1 || rows > kMostSide / kBlockSide ||
      columns > kMostSide / kBlockSide ||
      rows * columns > kMostPixels / kBlockArea + kMostSide / kBlockSide) {
    throw std::invalid_argument("rows or columns out of range");
  }
  return {rows, columns, channels};
}

py::bytes py_encode_enhancement(const Levels& levels, int threads) {
  if (levels.ndim() != 4 || levels.shape(3) != kBlockArea) {
    throw std::invalid_argument("levels must be (rows, columns, channels, 64)");
  }
  const BlockGrid grid = grid_of(levels.shape(0), levels.shape(1), levels.shape(2));
  const auto all = view(levels);
  Bytes bytes;
  {
    const py::gil_scoped_release release;
    bytes = encode_enhancement(all, grid, threads);
  }
  return to_bytes(bytes);
}

Levels py_decode_enhancement(const py::bytes& data, std::int64_t rows, std::int64_t columns,
                             std::int64_t channels, int threads) {
  const BlockGrid grid = grid_of(rows, columns, channels);
  const auto bytes = view(data);
  std::vector<std::int16_t> levels;
  {
    const py::gil_scoped_release release;
    levels = decode_enhancement(bytes, grid, threads);
  }
  return to_array(std::move(levels), {rows, columns, channels, kBlockArea});
}

}  // namespace

void bind_enhancement(py::module_& m) {
  using py::arg;
  m.def("encode_enhancement", &py_encode_enhancement, arg("levels").noconvert(), arg("threads"));
  m.def("decode_enhancement", &py_decode_enhancement, arg("data"), arg("rows"), arg("columns"),
        arg("channels"), arg("threads"));
}

}  // namespace isp_meta::payload

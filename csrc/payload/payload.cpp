// isp_meta._payload: sample positions and values to bytes and back, for isp_meta.codec.
//
// Nothing here knows of files, sections or torch. Wrong arguments raise ValueError, bytes that the
// encoder cannot have written raise CorruptStream. The GIL is released while symbols are coded.
#include "arrays.h"
#include "enhancement_binding.h"
#include "filter_binding.h"
#include "mosaic_binding.h"
#include "packing.h"
#include "positions.h"
#include "predicted.h"
#include "values.h"

namespace py = pybind11;

namespace isp_meta::payload {
namespace {

void check_most(int most) {
  if (most < 1 || most > 65535) throw std::invalid_argument("most must be 1 to 65535");
}

void check_values(std::span<const std::uint16_t> values, std::size_t samples, int most) {
  if (values.size() != 3 * samples) throw std::invalid_argument("values must be (N, 3)");
  for (const std::uint16_t value : values) {
    if (value > most) throw std::invalid_argument("a value is above most");
  }
}

Grid grid_of(const Array<std::uint8_t>& pixels, std::int64_t cell, py::ssize_t count) {
  if (pixels.ndim() != 3 || pixels.shape(0) != 3) {
    throw std::invalid_argument("pixels must be (3, height, width)");
  }
  return Grid::of(pixels.shape(1), pixels.shape(2), cell, count);
}

void check_bits(int bits) {
  if (bits < 1 || bits > 16) throw std::invalid_argument("bits must be 1 to 16");
}

py::bytes py_encode_positions(const Array<std::int64_t>& index, std::int64_t height,
                              std::int64_t width, std::int64_t cell, bool packed) {
  const Grid grid = Grid::of(height, width, cell, index.size());
  const auto pixels = view(index);
  Bytes bytes;
  {
    const py::gil_scoped_release release;
    check_index(pixels, grid);
    bytes = encode_positions(pixels, grid, packed);
  }
  return to_bytes(bytes);
}

Array<std::int64_t> py_decode_positions(const py::bytes& data, std::int64_t height,
                                        std::int64_t width, std::int64_t cell, std::int64_t count) {
  const Grid grid = Grid::of(height, width, cell, count);
  const auto bytes = view(data);
  std::vector<std::int64_t> index;
  {
    const py::gil_scoped_release release;
    index = decode_positions(bytes, grid, static_cast<std::size_t>(count));
  }
  return to_array(std::move(index), {static_cast<py::ssize_t>(count)});
}

py::bytes py_encode_values(const Array<std::uint16_t>& values, const Array<std::int64_t>& index,
                           std::int64_t height, std::int64_t width, std::int64_t cell, int most) {
  const Grid grid = Grid::of(height, width, cell, index.size());
  check_most(most);
  const auto own = view(values);
  const auto places = view(index);
  Bytes bytes;
  {
    const py::gil_scoped_release release;
    check_index(places, grid);
    check_values(own, places.size(), most);
    bytes = encode_values(own, places, grid, most);
  }
  return to_bytes(bytes);
}

Array<std::uint16_t> py_decode_values(const py::bytes& data, const Array<std::int64_t>& index,
                                      std::int64_t height, std::int64_t width, std::int64_t cell,
                                      int most) {
  const Grid grid = Grid::of(height, width, cell, index.size());
  check_most(most);
  const auto bytes = view(data);
  const auto places = view(index);
  std::vector<std::uint16_t> values;
  {
    const py::gil_scoped_release release;
    check_index(places, grid);
    values = decode_values(bytes, places, grid, most);
  }
  return to_array(std::move(values), {index.size(), 3});
}

py::bytes py_encode_predicted(const Array<std::uint16_t>& values, const Array<std::int64_t>& index,
                              const Array<std::uint8_t>& pixels, std::int64_t cell, int most) {
  const Grid grid = grid_of(pixels, cell, index.size());
  check_most(most);
  const auto own = view(values);
  const auto places = view(index);
  const auto picture = view(pixels);
  Bytes bytes;
  {
    const py::gil_scoped_release release;
    check_index(places, grid);
    check_values(own, places.size(), most);
    bytes = encode_predicted(own, places, picture, grid, most);
  }
  return to_bytes(bytes);
}

Array<std::uint16_t> py_decode_predicted(const py::bytes& data, const Array<std::int64_t>& index,
                                         const Array<std::uint8_t>& pixels, std::int64_t cell,
                                         int most) {
  const Grid grid = grid_of(pixels, cell, index.size());
  check_most(most);
  const auto bytes = view(data);
  const auto places = view(index);
  const auto picture = view(pixels);
  std::vector<std::uint16_t> values;
  {
    const py::gil_scoped_release release;
    check_index(places, grid);
    values = decode_predicted(bytes, places, picture, grid, most);
  }
  return to_array(std::move(values), {index.size(), 3});
}

py::bytes py_pack(const Array<std::uint16_t>& values, int bits) {
  check_bits(bits);
  const auto own = view(values);
  Bytes bytes;
  {
    const py::gil_scoped_release release;
    pack(bytes, own.size(), bits, [&](std::size_t i) {
      if (own[i] >> bits) throw std::invalid_argument("a value needs more bits");
      return own[i];
    });
  }
  return to_bytes(bytes);
}

Array<std::uint16_t> py_unpack(const py::bytes& data, std::int64_t count, int bits) {
  check_bits(bits);
  if (count < 0 || count > 3 * kMostSamples) throw std::invalid_argument("count out of range");
  const auto bytes = view(data);
  std::vector<std::uint16_t> values;
  {
    const py::gil_scoped_release release;
    values.reserve(std::min<std::size_t>(count, 8 * bytes.size()));
    unpack(bytes, static_cast<std::size_t>(count), bits, [&](std::size_t, std::uint32_t value) {
      values.push_back(static_cast<std::uint16_t>(value));
    });
  }
  return to_array(std::move(values), {static_cast<py::ssize_t>(count)});
}

}  // namespace
}  // namespace isp_meta::payload

PYBIND11_MODULE(_payload, m) {
  namespace payload = isp_meta::payload;
  using py::arg;
  m.doc() = "Sample positions and values to bytes and back; docs/format.md is the definition.";
  py::register_exception<payload::CorruptStream>(m, "CorruptStream", PyExc_ValueError);
  m.attr("MOST_SIDE") = payload::kMostSide;
  m.attr("MOST_PIXELS") = payload::kMostPixels;
  m.attr("MOST_SAMPLES") = payload::kMostSamples;
  m.def("encode_positions", &payload::py_encode_positions, arg("index").noconvert(), arg("height"),
        arg("width"), arg("cell"), arg("packed"));
  m.def("decode_positions", &payload::py_decode_positions, arg("data"), arg("height"), arg("width"),
        arg("cell"), arg("count"));
  m.def("encode_values", &payload::py_encode_values, arg("values").noconvert(),
        arg("index").noconvert(), arg("height"), arg("width"), arg("cell"), arg("most"));
  m.def("decode_values", &payload::py_decode_values, arg("data"), arg("index").noconvert(),
        arg("height"), arg("width"), arg("cell"), arg("most"));
  m.def("encode_predicted", &payload::py_encode_predicted, arg("values").noconvert(),
        arg("index").noconvert(), arg("pixels").noconvert(), arg("cell"), arg("most"));
  m.def("decode_predicted", &payload::py_decode_predicted, arg("data"), arg("index").noconvert(),
        arg("pixels").noconvert(), arg("cell"), arg("most"));
  payload::bind_mosaic(m);
  payload::bind_enhancement(m);
  payload::bind_filter(m);
  m.def("pack", &payload::py_pack, arg("values").noconvert(), arg("bits"));
  m.def("unpack", &payload::py_unpack, arg("data"), arg("count"), arg("bits"));
}

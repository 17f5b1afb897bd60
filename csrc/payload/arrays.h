// NumPy arrays and Python's bytes as the coder sees them, and back.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "range_coder.h"

namespace isp_meta::payload {

template <class Element>
using Array = pybind11::array_t<Element, pybind11::array::c_style>;

template <class Element>
std::span<const Element> view(const Array<Element>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

inline std::span<const std::uint8_t> view(const pybind11::bytes& bytes) {
  const std::string_view text = bytes;
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline pybind11::bytes to_bytes(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Hands the vector's memory to numpy without a copy.
template <class Element>
Array<Element> to_array(std::vector<Element> values, std::vector<pybind11::ssize_t> shape) {
  auto owner = std::make_unique<std::vector<Element>>(std::move(values));
  const Element* data = owner->data();
  const pybind11::capsule keeper(
      owner.release(), [](void* pointer) { delete static_cast<std::vector<Element>*>(pointer); });
  return Array<Element>(std::move(shape), data, keeper);
}

}  // namespace isp_meta::payload

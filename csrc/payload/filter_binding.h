// The coder of filter.h, for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace isp_meta::payload {

void bind_filter(pybind11::module_& m);

}  // namespace isp_meta::payload

// The coder of enhancement.h, for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace isp_meta::payload {

void bind_enhancement(pybind11::module_& m);

}  // namespace isp_meta::payload

// Gives isp_meta._payload the coder of mosaics.
#pragma once

#include <pybind11/pybind11.h>

namespace isp_meta::payload {

void bind_mosaic(pybind11::module_& m);

}  // namespace isp_meta::payload

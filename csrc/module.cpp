// Importing this Python module loads the library, whose static initializers register the operators
// with torch. Its constants say what was built, and what of it this processor can run.
#include <Python.h>

#include "cpu/dispatch.h"

namespace {

#ifdef ISP_META_CUDA
constexpr bool kCuda = true;
#else
constexpr bool kCuda = false;
#endif

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_ops", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__ops() {
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  const bool avx2 = ISP_META_FASTEST(kVectorBytes) == isp_meta::avx2::kVectorBytes;
  if (PyModule_AddIntConstant(module, "CUDA", kCuda) < 0 ||
      PyModule_AddIntConstant(module, "AVX2", avx2) < 0) {
    Py_DecRef(module);
    return nullptr;
  }
  return module;
}

// An empty Python module: importing it loads this library, whose static initializers register the
// operators with torch.
#include <Python.h>

namespace {
PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_ops", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
}  // namespace

PyMODINIT_FUNC PyInit__ops() { return PyModule_Create(&definition); }

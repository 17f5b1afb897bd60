#!/bin/sh
# Builds the example against the PyTorch of a Python: PYTHON=python3 examples/cpp/build.sh TARGET
set -eu
torch=$("${PYTHON:-python3}" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')
"${CXX:-g++}" -std=c++20 -O2 -Wall -Wextra -DTORCH_TARGET_VERSION=0x020a000000000000 \
  -isystem "$torch/include" "$(dirname "$0")/simulator.cpp" -o "$1" \
  -L"$torch/lib" -Wl,-rpath,"$torch/lib" -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -ldl

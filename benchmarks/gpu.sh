#!/usr/bin/env bash
# All there is to do on a machine with an NVIDIA GPU, in one command:
#     benchmarks/gpu.sh
# Builds with CUDA, runs the operators' tests on the GPU, then compute-sanitizer over small shapes,
# then the benchmark, which it writes to benchmarks/results/NAME-OF-THE-GPU.json.
# Needs: python3, g++, make, the CUDA toolkit (nvcc, compute-sanitizer) and a CUDA build of torch,
# in .venv or wherever pip finds one.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="${CUDA_HOME:-/usr/local/cuda}/bin:$PATH"
export ISP_META_CUDA=1
for tool in nvidia-smi nvcc compute-sanitizer; do
  command -v "$tool" >/dev/null || { echo "$0 needs $tool, which is not in PATH" >&2; exit 1; }
done
nvidia-smi --list-gpus

python=.venv/bin/python
if [[ ! -x $python ]]; then
  PYTHON=${PYTHON:-python3} scripts/debian_packages.sh build
  "${PYTHON:-python3}" -m venv .venv
fi
"$python" -c 'import torch' 2>/dev/null || "$python" -m pip install torch
"$python" -m pip install --quiet 'setuptools>=77' wheel ninja 'pybind11>=2.13'
"$python" -m pip install --quiet --no-build-isolation --editable '.[test]'
"$python" -c 'import torch; assert torch.cuda.is_available(), "torch sees no GPU"'

echo "== tests"
"$python" -m pytest tests/ops

for tool in memcheck racecheck initcheck; do
  echo "== compute-sanitizer $tool"
  PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$tool" --error-exitcode 1 \
    "$python" benchmarks/small_shapes.py cuda
done

echo "== benchmark"
"$python" benchmarks/ops.py --device cuda --full --record

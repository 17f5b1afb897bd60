#!/usr/bin/env bash
# What a stranger does: from the source distribution alone, in an empty environment, the package is
# built and installed, and does its main job.
#     scripts/check_install.sh            pip builds in isolation, and fetches torch for that as well
#     scripts/check_install.sh --shared   it builds with the torch that it will run with
# PYTHON names the interpreter, and ISP_META_CUDA=1 adds the CUDA kernels.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ISP_META_CUDA=${ISP_META_CUDA:-0}
unset PYTHONPATH

say() { echo "== $* (${SECONDS} s)"; }

"$python" -m venv "$work/build"
"$work/build/bin/pip" install --quiet build 'setuptools>=77' wheel ninja 'pybind11>=2.13'
"$work/build/bin/pip" install --quiet 'torch==2.13.*'
"$work/build/bin/python" -m build --quiet --no-isolation --sdist --outdir "$work/dist" .
say "built $(cd "$work/dist" && ls -sh ./*.tar.gz)"

"$python" -m venv "$work/venv"
bin=$work/venv/bin
options=()
if [[ ${1:-} == --shared ]]; then
  options=(--no-build-isolation)
  "$bin/pip" install --quiet 'setuptools>=77' wheel ninja 'pybind11>=2.13' 'torch==2.13.*'
fi
"$bin/pip" install --quiet "${options[@]}" "$work"/dist/*.tar.gz
site=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
say "installed: $(du -sh "$site/isp_meta" | cut -f1) of its own, $(du -sh "$site" | cut -f1) in all"

cd "$work"  # where no checkout is in the way
"$bin/isp-meta" --version
"$bin/isp-meta" doctor
"$bin/isp-meta" demo -o demo
"$bin/isp-meta" verify demo/*.jpg
"$bin/isp-meta" recover demo/*-uniform.jpg -o recovered.dng
say "works"

"""Checks the CUDA kernels on a machine without a GPU: ``python tests/cuda_shim/check_cuda.py``.

1. nvcc compiles every kernel for sm_80, sm_90 and sm_120; a kernel that leaves its registers for
   the stack fails, and so does one that grew beyond what ``benchmarks/cuda_code.json`` says.
2. g++ compiles what calls them against the headers of the PyTorch here, and of those unpacked in
   ``build/torch-*`` (``scripts/torch_headers.py``), as a build against each would.
3. g++ compiles the kernels against ``cuda_runtime.h`` beside this script, with AddressSanitizer
   and UndefinedBehaviorSanitizer, and ``run_kernels.py`` compares them with the reference.

It shows neither speed nor what only a GPU has: memory order, alignment, launch limits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import cuda_code

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CSRC = ROOT / "csrc"
TARGETS = ("sm_80", "sm_90", "sm_120")
WARNINGS = ("-Wall", "-Wextra", "-Werror")


def find(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        sys.exit(f"check-cuda needs {program}, which is not in PATH: nothing was checked")
    return path


def check_compilation(nvcc: str) -> bool:
    kernels = {target: cuda_code.compile_all(nvcc, target) for target in TARGETS}
    spills = [
        f"{name} for {target}: {code.spilled} bytes of stack and spills"
        for target, found in kernels.items()
        for name, code in found.items()
        if code.spilled
    ]
    print(
        f"{sum(map(len, kernels.values()))} kernels compiled, {len(spills)} spill",
        *spills,
        sep="\n",
    )
    return cuda_code.check(nvcc, kernels[cuda_code.TARGET]) and not spills


def compiles(source: Path, include: Path) -> bool:
    command = [find("g++"), "-std=c++20", "-fsyntax-only", *WARNINGS, f"-I{CSRC}"]
    command += [f"-isystem{include}", f"-isystem{sysconfig.get_paths()['include']}"]
    command += ["-DTORCH_TARGET_VERSION=0x020a000000000000", "-DUSE_CUDA", "-DISP_META_CUDA"]
    return subprocess.run([*command, str(source)]).returncode == 0


def check_glue() -> bool:
    """Whether all that includes torch compiles, for CUDA, against each PyTorch that is here."""
    headers = {f"torch {torch.__version__}": Path(torch.__file__).parent / "include"}
    headers |= {f.name: f / "torch" / "include" for f in sorted(ROOT.glob("build/torch-*"))}
    sources = [s for s in sorted(CSRC.rglob("*.cpp")) if s.parent.name not in ("payload", "cpu")]

    good = True
    for name, include in headers.items():
        with ThreadPoolExecutor(int(os.environ.get("MAX_JOBS", os.cpu_count() or 1))) as pool:
            compiled = sum(pool.map(compiles, sources, [include] * len(sources)))
        print(f"{compiled} of {len(sources)} files compile against {name}")
        good &= compiled == len(sources)
    if len(headers) == 1:
        print(
            "NOT CHECKED: the oldest PyTorch promised: make build/torch-2.10.0 fetches its headers"
        )
    return good


def check_execution(folder: Path) -> bool:
    library = folder / "kernels.so"
    command = [find("g++"), "-std=c++20", "-O1", "-g", "-shared", "-fPIC", *WARNINGS]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command += [f"-I{HERE}", f"-I{CSRC}", str(HERE / "kernels.cpp"), "-o", str(library)]
    subprocess.run(command, check=True)
    asan = subprocess.run(
        [find("g++"), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    # Python and torch keep memory to the end, and torch's own libraries repeat symbols.
    options = "detect_leaks=0:detect_odr_violation=0"
    environment = os.environ | {"LD_PRELOAD": asan, "ASAN_OPTIONS": options}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(HERE / "run_kernels.py"), str(library), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    result = run()
    print(result.stdout, result.stderr, sep="", end="")
    # A guard that never bites is none: reading past a tensor has to stop the run.
    planted = run("--read-outside")
    guarded = planted.returncode != 0 and "heap-buffer-overflow" in planted.stderr
    print(f"a planted read outside a tensor is {'caught' if guarded else 'MISSED'}")
    return result.returncode == 0 and guarded


def main() -> None:
    nvcc = cuda_code.find_nvcc()
    if nvcc is None:
        sys.exit("check-cuda needs nvcc, in CUDA_HOME or in PATH: nothing was checked")
    compiled = check_compilation(nvcc) & check_glue()
    with tempfile.TemporaryDirectory() as folder:
        executed = check_execution(Path(folder))
    if not (compiled and executed):
        sys.exit("check-cuda FAILED")
    print("check-cuda passed")


if __name__ == "__main__":
    main()

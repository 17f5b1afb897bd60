"""Checks the CUDA kernels on a machine without a GPU: ``python tests/cuda_shim/check_cuda.py``.

1. nvcc compiles every kernel for sm_80, sm_90 and sm_120; a kernel that leaves its registers
   for the stack fails.
2. g++ compiles the same files against ``cuda_runtime.h`` beside this script, with AddressSanitizer
   and UndefinedBehaviorSanitizer, and ``run_kernels.py`` compares them with the reference.

It shows neither speed nor what only a GPU has: memory order, alignment, launch limits.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"
TARGETS = ("sm_80", "sm_90", "sm_120")
WARNINGS = ("-Wall", "-Wextra", "-Werror")
PTXAS = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers",
    re.DOTALL,
)


def find(program: str, folder: str = "") -> str:
    path = shutil.which(program, path=os.pathsep.join([folder, os.environ["PATH"]]))
    if path is None:
        sys.exit(f"check-cuda needs {program}, which is not in PATH: nothing was checked")
    return path


def compile_kernels(nvcc: str, source: Path, target: str) -> list[tuple[str, str, int, int]]:
    """(kernel, target, registers, bytes of stack and spills) of every kernel in one file."""
    command = [nvcc, "-std=c++20", "-O3", f"-arch={target}", "-cubin", "-Xptxas=-v", f"-I{CSRC}"]
    command += ["-Werror=all-warnings", "-o", os.devnull, str(source)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}\n{result.stderr}")
    rows = []
    for kernel in PTXAS.finditer(result.stderr):
        name = subprocess.run(
            [find("c++filt"), kernel["name"]], capture_output=True, text=True, check=True
        ).stdout
        name = re.sub(r"^void |isp_meta::|\(anonymous namespace\)::|\(.*", "", name.strip())
        spilled = int(kernel["stack"]) + int(kernel["stores"]) + int(kernel["loads"])
        rows.append((name, target, int(kernel["registers"]), spilled))
    if not rows:
        sys.exit(f"no kernel found in what nvcc says of {source}:\n{result.stderr}")
    return rows


def check_compilation(nvcc: str) -> bool:
    jobs = [(s, t) for s in sorted(CSRC.glob("*/*.cu")) for t in TARGETS]
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        results = pool.map(lambda job: compile_kernels(nvcc, *job), jobs)
        rows = sorted(row for result in results for row in result)
    print(f"{'kernel':60}{'target':>8}{'registers':>11}{'spilled':>9}")
    for name, target, registers, spilled in rows:
        print(f"{name:60}{target:>8}{registers:>11}{spilled:>9}")
    bad = [row for row in rows if row[3]]
    print(f"{len(rows)} kernels compiled, {len(bad)} spill")
    return not bad


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
    nvcc = find("nvcc", f"{os.environ.get('CUDA_HOME', '/usr/local/cuda')}/bin")
    compiled = check_compilation(nvcc)
    with tempfile.TemporaryDirectory() as folder:
        executed = check_execution(Path(folder))
    if not (compiled and executed):
        sys.exit("check-cuda FAILED")
    print("check-cuda passed")


if __name__ == "__main__":
    main()

"""What nvcc makes of every CUDA kernel: python benchmarks/cuda_code.py [--check | --write]

Registers, shared memory and machine instructions of each kernel for sm_90, as they stand in the
binary: no GPU is needed, and the figures are the same on any machine. A loop counts once. --check
compares them with cuda_code.json, where the compiler is the one of that file, and fails beyond 5 %;
--write brings the file up to date.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent / "csrc"
NUMBERS = HERE / "cuda_code.json"
TARGET = "sm_90"
# As in setup.py: another setting would make other code.
FLAGS = ["-std=c++20", "-O3"]
MARGIN = 0.05
# Bytes of an instruction since Volta, and the lowest 12 bits of one that does nothing: those pad.
INSTRUCTION, OPCODE, NOTHING = 16, 0xFFF, 0x918
PTXAS = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Code:
    """One kernel for one kind of GPU; bytes of static shared memory, of stack and spills."""

    registers: int
    shared: int
    instructions: int
    spilled: int


def find_nvcc() -> str | None:
    folder = f"{os.environ.get('CUDA_HOME', '/usr/local/cuda')}/bin"
    return shutil.which("nvcc", path=os.pathsep.join([folder, os.environ["PATH"]]))


def build(nvcc: str) -> dict[str, str]:
    """What the numbers depend on, besides the code."""
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    release = next(line for line in said.splitlines() if "release" in line)
    return {"compiler": release, "target": TARGET, "flags": " ".join(FLAGS)}


def instructions(cubin: bytes) -> Iterator[tuple[str, int]]:
    """(mangled name, instructions without padding) of every kernel in an ELF file of 64 bits."""
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names = struct.unpack_from("<3H", cubin, 0x3A)
    sections = [struct.unpack_from("<2I4Q", cubin, table + i * size) for i in range(count)]
    words = sections[names][4]
    for name, _type, _flags, _address, start, length in sections:
        label = cubin[words + name : cubin.index(0, words + name)].decode()
        if label.startswith(".text."):
            code = struct.iter_unpack("<2Q", cubin[start : start + length])
            kept = sum(low & OPCODE != NOTHING for low, _high in code)
            yield label.removeprefix(".text."), kept


def readable(mangled: str) -> str:
    result = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True)
    return re.sub(r"^void |isp_meta::|\(anonymous namespace\)::|\(.*", "", result.stdout.strip())


def compile_kernels(nvcc: str, source: Path, target: str) -> dict[str, Code]:
    """Every kernel of one file, by name."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder, "kernels.cubin")
        command = [nvcc, *FLAGS, f"-arch={target}", "-cubin", "-Xptxas=-v", f"-I{CSRC}"]
        command += ["-Werror=all-warnings", "-o", str(cubin), str(source)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{' '.join(command)}\n{result.stderr}")
        sizes = dict(instructions(cubin.read_bytes()))
    found = {}
    for kernel in PTXAS.finditer(result.stderr):
        spilled = sum(int(kernel[kind]) for kind in ("stack", "stores", "loads"))
        shared = int(kernel["shared"] or 0)
        code = Code(int(kernel["registers"]), shared, sizes[kernel["name"]], spilled)
        found[readable(kernel["name"])] = code
    if len(found) != len(sizes):
        sys.exit(f"not every kernel found in what nvcc says of {source}:\n{result.stderr}")
    return found


def compile_all(nvcc: str, target: str) -> dict[str, Code]:
    """Every kernel of every file, by name."""
    sources = sorted(CSRC.glob("*/*.cu"))
    with ThreadPoolExecutor(int(os.environ.get("MAX_JOBS", os.cpu_count() or 1))) as pool:
        files = list(pool.map(lambda source: compile_kernels(nvcc, source, target), sources))
    return {name: code for found in files for name, code in sorted(found.items())}


def compare(found: dict[str, Code], stored: dict[str, dict[str, int]]) -> bool:
    """Prints a line a kernel; whether all are within the margin."""
    print(f"{f'{TARGET}, stored and now':64}{'registers':>12}{'shared':>16}{'instructions':>16}")
    good = True
    for name in sorted({*found, *stored}):
        now, before = asdict(found[name]) if name in found else {}, stored.get(name, {})
        columns = []
        for field, wide in (("registers", 12), ("shared", 16), ("instructions", 16)):
            old, new = before.get(field), now.get(field)
            columns.append(f"{f'{old} {new}':>{wide}}")
            within = None not in (old, new) and abs(new - old) <= MARGIN * old
            good &= within
            columns[-1] += "" if within else " !"
        print(f"{name:64}{''.join(columns)}")
    return good


def check(nvcc: str, found: dict[str, Code]) -> bool:
    """Whether the kernels for TARGET are those on record, if this compiler made those."""
    stored = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else {}
    if stored.get("build") != build(nvcc):
        print(f"NOT CHECKED: the kernels on record are those of {stored.get('build')}")
        print(f"             and this is {build(nvcc)}")
        return True
    if compare(found, stored["kernels"]):
        return True
    print("kernels moved by more than 5 % (!); if for a reason: benchmarks/cuda_code.py --write")
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Registers and instructions of CUDA kernels.")
    parser.add_argument("--check", action="store_true", help="compare with cuda_code.json")
    parser.add_argument("--write", action="store_true", help="write cuda_code.json")
    given = parser.parse_args()
    nvcc = find_nvcc()
    if nvcc is None:
        print("NOT CHECKED: the code of the CUDA kernels needs nvcc")
        return
    found = compile_all(nvcc, TARGET)
    if given.write:
        kernels = {name: asdict(code) for name, code in sorted(found.items())}
        text = json.dumps({"build": build(nvcc), "kernels": kernels}, indent=1)
        NUMBERS.write_text(text + "\n", encoding="utf-8")
    good = check(nvcc, found)
    if given.check and not good:
        sys.exit(1)


if __name__ == "__main__":
    main()

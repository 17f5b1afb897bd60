"""Instructions a pixel of every CPU loop: python benchmarks/instructions.py [--check | --write]

Counted by valgrind's callgrind: the same figure on an idle machine and on a busy one. --check
compares it with instructions.json, where compiler and processor architecture are those of that
file, and fails beyond 5 %; --write brings the file up to date.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from programs import VALGRIND

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent / "csrc"
NUMBERS = HERE / "instructions.json"
# As in setup.py: another setting would count other code.
FLAGS = ["-std=c++20", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-Wall", "-Wextra", "-fvisibility=hidden"]
MARGIN = 0.05
CALLED = re.compile(r"^cfn=count_(\w+)\ncalls=1 .*\n\S+ (\d+)$", re.MULTILINE)


def build() -> dict[str, str]:
    """What the numbers depend on, besides the code."""
    version = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
    return {
        "compiler": version.stdout.splitlines()[0],
        "architecture": platform.machine(),
        "flags": " ".join(FLAGS),
    }


def count() -> dict[str, float]:
    """Instructions a pixel by name of the loop."""
    with tempfile.TemporaryDirectory() as folder:
        program, report = Path(folder, "loops"), Path(folder, "report")
        sources = [str(HERE / "instructions.cpp"), str(CSRC / "cpu" / "avx2.cpp")]
        subprocess.run(["g++", *FLAGS, f"-I{CSRC}", *sources, "-o", str(program)], check=True)
        tool = [VALGRIND.path(), "--tool=callgrind", f"--callgrind-out-file={report}"]
        tool += ["--compress-strings=no", "--compress-pos=no"]
        # What the loader does on a first call is no loop's.
        now = {**os.environ, "LD_BIND_NOW": "1"}
        run = subprocess.run([*tool, str(program)], capture_output=True, text=True, env=now)
        if run.returncode:
            sys.exit(f"valgrind failed:\n{run.stderr}")
        pixels = int(run.stdout.split()[0])
        counted = CALLED.findall(report.read_text(encoding="utf-8"))
    if not counted:
        sys.exit("no loop found in what callgrind wrote")
    return {name: round(int(instructions) / pixels, 2) for name, instructions in counted}


def compare(counted: dict[str, float], stored: dict[str, float]) -> bool:
    """Prints a line a loop; whether all are within the margin."""
    good = True
    for name in sorted({*counted, *stored}):
        now, before = counted.get(name), stored.get(name)
        change = now / before - 1 if now and before else float("nan")
        within = abs(change) <= MARGIN
        good &= within
        verdict = "" if within else "  FAILED"
        print(f"{name:20}{before or 0:9.2f}{now or 0:9.2f}{100 * change:8.1f} %{verdict}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description="Instructions a pixel of every CPU loop.")
    parser.add_argument("--check", action="store_true", help="compare with instructions.json")
    parser.add_argument("--write", action="store_true", help="write instructions.json")
    given = parser.parse_args()
    missing = [] if VALGRIND.find() else [str(VALGRIND)]
    missing += [] if shutil.which("g++") else ["g++"]
    if "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        missing.append("a processor with AVX2")
    if missing:
        print(f"NOT CHECKED: instruction counts need {', '.join(missing)}")
        return
    stored = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else {}
    if given.check and stored.get("build") != build():
        print(f"NOT CHECKED: instruction counts are those of {stored.get('build')}")
        print(f"             and this is {build()}")
        return
    counted = count()
    print(f"{'instructions a pixel':20}{'stored':>9}{'now':>9}{'change':>9}")
    good = compare(counted, stored.get("instructions_per_pixel", {}))
    if given.write:
        text = json.dumps({"build": build(), "instructions_per_pixel": counted}, indent=2)
        NUMBERS.write_text(text + "\n", encoding="utf-8")
    elif given.check and not good:
        sys.exit("instruction counts moved by more than 5 %; if for a reason: --write")


if __name__ == "__main__":
    main()

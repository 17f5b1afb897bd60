"""What the choice of instruction set asks of the native sources."""

from __future__ import annotations

import re
from pathlib import Path

CSRC = Path(__file__).parents[2] / "csrc"
INCLUDE = re.compile(r'^#include (?:<(.+)>|"(.+)")$', re.MULTILINE)


def test_library_headers_come_before_avx2() -> None:
    """What the library defines would else be compiled for AVX2, and run where there is none."""
    before, target, _ = (CSRC / "cpu/avx2.cpp").read_text(encoding="utf-8").partition("#pragma")
    assert target
    first = {library for library, _ in INCLUDE.findall(before)}
    seen, waiting = set(), ["cpu/loops.h"]
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for library, own in INCLUDE.findall((CSRC / name).read_text(encoding="utf-8")):
            assert not library or library in first, f"{name} includes <{library}>"
            if own and own not in seen:
                waiting.append(own)
    assert len(seen) > 10


def test_it_is_chosen_in_one_place() -> None:
    choice = re.compile(r"__builtin_cpu_supports|target_clones|GCC target")
    sources = (path for path in CSRC.rglob("*") if path.is_file())
    found = {p.name for p in sources if choice.search(p.read_text(encoding="utf-8"))}
    assert found == {"dispatch.h", "avx2.cpp"}

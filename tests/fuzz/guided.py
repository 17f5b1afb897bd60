"""Coverage-guided fuzzing of carriers, codec and DNG reader by Atheris (libFuzzer).

    pip install atheris
    python tests/fuzz/guided.py fuzz-corpus -max_total_time=600
    python tests/fuzz/corpus.py fuzz-corpus     # keeps it in the repository

Arguments are libFuzzer's. The first folder starts with the corpus that is kept, the files of
subjects.py and the golden ones, and gets what reaches new code.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["isp_meta.carriers", "isp_meta.codec", "isp_meta.io.dng"]):
    from targets import DNG, FILE, as_input, read

import dng_files
import torch
from corpus import kept
from subjects import subjects

GOLDEN = Path(__file__).parents[1] / "data"


def seeds() -> dict[str, bytes]:
    """Name and content of what every corpus starts with."""
    found = dict(kept())
    for golden in GOLDEN.glob("*.ispmeta"):
        found[golden.stem] = as_input(golden.read_bytes())
    for number, subject in enumerate(subjects()):
        found[f"subject-{number}-file"] = FILE + subject.data
        found[f"subject-{number}-payload"] = as_input(subject.packed)
    for number, made in enumerate(dng_files.subjects()):
        found[f"dng-{number}"] = DNG + made.data
    return found


def main() -> None:
    torch.set_num_threads(1)
    corpus = next((Path(a) for a in sys.argv[1:] if not a.startswith("-")), None)
    if corpus is None:
        raise SystemExit("name a folder for the corpus")
    corpus.mkdir(exist_ok=True)
    for name, content in seeds().items():
        (corpus / name).write_bytes(content)
    atheris.Setup([*sys.argv, "-timeout=5", "-rss_limit_mb=2048", "-max_len=16384"], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

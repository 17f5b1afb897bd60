"""Throws mutated files at everything that reads one, until time or their number is up.

    python tests/fuzz/run.py --minutes 10

Each is reported that makes anything but our own errors, takes over a second or over the cap of
memory, or gives a picture that nobody stored; it stays in the folder of findings, under the number
that makes it anew. Ends with 1 where there was one.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch
from mutations import mutate
from subjects import Subject, subjects
from trial import Trial, bounded_memory


def one(number: int, known: list[Subject], trial: Trial) -> None:
    """The mutant of that number, in its trial."""
    chance = random.Random(number)
    subject = chance.choice(known)
    trial.run(subject, mutate(subject, known, chance))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--most", type=int, default=1 << 62, help="files")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    faulthandler.enable()
    torch.set_num_threads(1)
    known = subjects()
    end, number, found = time.monotonic() + 60 * options.minutes, options.first, 0
    options.findings.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.findings) as folder, bounded_memory():
        trial = Trial(known, Path(folder))
        while time.monotonic() < end and number < options.first + options.most:
            try:
                one(number, known, trial)
            except Exception:
                found += 1
                print(f"file {number}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
                for file in Path(folder).iterdir():
                    file.rename(options.findings / f"{number}-{file.name}")
            number += 1
    for outcome, count in sorted(trial.outcomes.items()):
        print(f"{count:9,}  {outcome}")
    seconds, what = trial.slowest
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{number - options.first:,} files; the slowest call took {seconds:.3f} s ({what}); ",
        end="",
    )
    print(f"at most {peak:.0f} MiB in all; {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

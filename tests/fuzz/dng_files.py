"""Mutated DNG files: nothing but a whole picture or one of our own errors may come of them.

    python tests/fuzz/dng_files.py --most 100000

As run.py does for pictures that carry their raw.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from mutations import damage, number_near
from trial import MOST_SECONDS, bounded_memory, require

sys.path.append(str(Path(__file__).parents[1]))

from made_dng import (
    BYTE,
    RATIONAL,
    SHORT,
    SRATIONAL,
    UNDEFINED,
    Coding,
    MadeDng,
    digest,
    made_dng,
    photograph,
)

from isp_meta.errors import RawFileError
from isp_meta.io.dng.read import read_dng

HEIGHT, WIDTH = 24, 40
_TILE = (16, 32)
_POLYNOMIAL = struct.pack(">I4I8II2d", 1, 8, 0, 0, 52, 0, 0, 24, 40, 0, 3, 1, 1, 1, 0.0, 1.0)


def subjects() -> list[MadeDng]:
    """Small DNGs of every coding, level and color filter."""
    mosaic, linear = photograph(HEIGHT, WIDTH, 12), photograph(HEIGHT, WIDTH, 12, 3)
    light = (mosaic / 4095).astype("f4")
    codings = [
        Coding("none"),
        Coding("none", bits=12, rows=5),
        Coding("none", tile=_TILE, order=">"),
        Coding("jpeg", bits=12, tile=_TILE),
        Coding("jpeg", tile=_TILE, components=2, predictor=6),
        Coding("deflate", tile=_TILE, predictor=2),
        Coding("deflate", rows=9, predictor=34893),
        Coding("jpeg xl", tile=_TILE),
        Coding("none", interleave=(2, 2)),
    ]
    made = [made_dng(mosaic, coding) for coding in codings]
    eight = photograph(HEIGHT, WIDTH, 8)
    table = {50712: (SHORT, tuple(i * i // 16 for i in range(256)))}
    made += [made_dng(eight, Coding(kind, 8, _TILE), table) for kind in ("lossy", "jpeg dct")]
    for coding in (Coding("deflate", 32, _TILE, predictor=3), Coding("none", 16, order=">")):
        made.append(made_dng(light, coding))
    made.append(made_dng(light, Coding("deflate", 16, _TILE, predictor=34894)))
    made += [
        made_dng(linear, coding, cfa=None)
        for coding in (
            Coding("none", planar=True),
            Coding("jpeg", 12, _TILE),
            Coding("jpeg xl", 16, _TILE),
        )
    ]
    curve = {51009: (UNDEFINED, tuple(_POLYNOMIAL))}
    made.append(made_dng(photograph(HEIGHT, WIDTH, 8, 3), Coding("lossy", 8, _TILE), curve, None))
    levels = {
        50713: (SHORT, (2, 2)),
        50714: (RATIONAL, (10, 1, 20, 1, 61, 2, 41, 1)),
        50715: (SRATIONAL, tuple(v for n in range(WIDTH) for v in (n % 3, 1))),
        50716: (SRATIONAL, tuple(v for n in range(HEIGHT) for v in (n % 5, 1))),
        50717: (SHORT, (4000,)),
        50718: (RATIONAL, (2, 1, 1, 1)),
        50829: (SHORT, (1, 3, HEIGHT - 1, WIDTH)),
    }
    made.append(made_dng(mosaic, Coding("none"), {**levels, 50715: None, 50716: None}))
    made.append(made_dng(mosaic, Coding("none"), {**levels, 50829: None}))
    made += [made_dng(mosaic, Coding("none"), cfa=cfa) for cfa in ("quad", "x-trans")]
    made.append(made_dng(mosaic, Coding("none"), {51111: (BYTE, tuple(digest(mosaic)))}))
    return made


def mutate(subject: MadeDng, others: Sequence[MadeDng], chance: random.Random) -> bytes:
    """A mutant: bytes damaged anywhere, or an entry of the directory."""
    data = subject.data
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if chance.random() < 0.4:
            data = damage(data, chance.choice(others).data, chance)
        else:
            data = _with_another_entry(data, subject, chance)
    return data


def _with_another_entry(data: bytes, subject: MadeDng, chance: random.Random) -> bytes:
    """Type, count or value of one entry changed, or its tag's number."""
    order = "big" if data[:2] == b"MM" else "little"
    entry = chance.choice(list(subject.entries.values()))
    if entry + 12 > len(data):
        return data
    offset, size = chance.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 2)))
    place = entry + offset
    old = int.from_bytes(data[place : place + size], order)  # type: ignore[arg-type]
    new = number_near(old, size, chance).to_bytes(size, order)  # type: ignore[arg-type]
    if offset == 0 and chance.random() < 0.7:
        new = chance.choice(list(subject.entries)).to_bytes(2, order)  # type: ignore[arg-type]
    if offset == 2:
        new = chance.randrange(14).to_bytes(2, order)  # type: ignore[arg-type]
    return data[:place] + new + data[place + size :]


def read(data: bytes) -> str:
    """What came of a file; raises Broken, or whatever else came out."""
    start = time.process_time()
    try:
        frame = read_dng(data, "a.dng")
    except RawFileError as error:
        require("memory" not in str(error), "more memory is claimed than the cap")
        outcome = type(error).__name__
    else:
        codes = frame.codes
        require(codes is not None and bool(codes.isfinite().all()), "codes that are no numbers")
        require(codes.shape[0] == frame.camera.channels, "codes of another shape")
        outcome = "read"
    took = time.process_time() - start
    require(took < MOST_SECONDS, f"{outcome} took {took:.2f} s")
    return outcome


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
    outcomes: Counter[str] = Counter()
    end, number, found, slowest = time.monotonic() + 60 * options.minutes, options.first, 0, 0.0
    options.findings.mkdir(exist_ok=True)
    under_trial = options.findings / "dng-under-trial"
    with bounded_memory():
        while time.monotonic() < end and number < options.first + options.most:
            chance = random.Random(number)
            data = mutate(chance.choice(known), known, chance)
            under_trial.write_bytes(data)  # stays if the process dies
            start = time.process_time()
            try:
                outcomes[read(data)] += 1
            except Exception:
                found += 1
                print(f"file {number}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
                (options.findings / f"{number}.dng").write_bytes(data)
            slowest = max(slowest, time.process_time() - start)
            number += 1
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:9,}  {outcome}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{number - options.first:,} files; the slowest took {slowest:.3f} s; ", end="")
    print(f"at most {peak:.0f} MiB in all; {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

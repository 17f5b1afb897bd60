"""A fixed set of mutated DNG files; ``make fuzz`` goes on from there."""

from __future__ import annotations

import random
from collections import Counter

import dng_files
import pytest
import torch
from trial import Broken, bounded_memory

from isp_meta.frame import Frame

COUNT = 600


def test_mutated_files_do_no_harm():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # each has memory of its own, which the cap would count
    known = dng_files.subjects()
    outcomes = Counter()
    with bounded_memory():
        for number in range(COUNT):
            chance = random.Random(number)
            outcomes[dng_files.read(dng_files.mutate(chance.choice(known), known, chance))] += 1
    torch.set_num_threads(threads)
    for outcome in ("read", "RawFileDamaged", "RawFileUnsupported", "NotARawFile"):
        assert outcomes[outcome] > COUNT / 50, outcomes


def test_files_as_they_are_are_read():
    for made in dng_files.subjects():
        assert dng_files.read(made.data) == "read"


def test_what_does_not_hold_is_noticed(monkeypatch):
    made = dng_files.subjects()[0]
    codes = torch.full((1, 4, 4), float("nan"))
    monkeypatch.setattr(dng_files, "read_dng", lambda *_given: Frame(codes=codes))
    with pytest.raises(Broken, match="no numbers"):
        dng_files.read(made.data)

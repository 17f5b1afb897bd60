"""A fixed set of mutated files; ``make fuzz`` goes on from there."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch
from mutations import Mutant, mutate, sealed, sections
from run import one
from subjects import Subject, subjects
from trial import Broken, Trial, bounded_memory

COUNT = 250


@pytest.fixture(scope="module")
def known() -> Iterator[list[Subject]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # each has memory of its own, which the cap would count
    yield subjects()
    torch.set_num_threads(threads)


def test_mutated_files_do_no_harm(known, tmp_path):
    trial = Trial(known, tmp_path)
    with bounded_memory():
        for number in range(COUNT):
            one(number, known, trial)
    outcomes = trial.outcomes
    # Damage of every kind, and files that came through it: both sides of each check are met.
    for outcome in ("exact", "CarrierError", "PayloadCorrupt", "PayloadMissing"):
        assert outcomes[f"read_metadata {outcome}"] >= 3, outcomes
    assert outcomes["recover"] > COUNT / 20
    assert outcomes["strip"] > COUNT / 2


def test_files_as_they_are_come_back(known, tmp_path):
    trial = Trial(known, tmp_path)
    for subject in known:
        trial.run(subject, Mutant(subject.data))
    outcomes = trial.outcomes
    assert outcomes["read_metadata exact"] == len(known)
    # Values made for a network that is not at hand are whole, and no raw.
    elsewhere = sum("CTRL of a network" in subject.name for subject in known)
    assert 0 < elsewhere < outcomes["recover PayloadMissing"]
    assert outcomes["recover"] + outcomes["bit-depth recover"] + elsewhere == len(known)


def test_what_does_not_hold_is_noticed(known, tmp_path):
    # A forged payload that passes for a genuine one: nobody stored it.
    trial = Trial(known, tmp_path)
    subject = next(one for one in known if one.name == "packed in app11")
    forged = sealed(subject.packed[:40], _sections_with_a_value_changed(subject.packed))
    with pytest.raises(Broken, match="bytes that nobody wrote"):
        trial.run(subject, Mutant(subject.carrying(forged)))
    trial.run(subject, Mutant(subject.carrying(forged), forged))


def test_the_same_number_makes_the_same_file(known):
    made = [
        [mutate(known[3], known, random.Random(number)).data for number in range(40)]
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert len({*made[0], known[3].data}) > 35


def _sections_with_a_value_changed(packed: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (name, content[:-1] + bytes((content[-1] ^ 0x80,)) if name == b"VALU" else content)
        for name, content in sections(packed)
    ]

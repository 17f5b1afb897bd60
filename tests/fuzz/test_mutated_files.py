"""A fixed set of mutated files; ``make fuzz`` goes on from there."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch
from mutations import Mutant, correction, mutate, sealed, sections
from run import one
from subjects import Subject, subjects
from trial import Broken, Trial, bounded_memory

from isp_meta import codec, io, recover
from isp_meta.metrics import psnr
from isp_meta.networks.shipped import FEATURES
from isp_meta.reconstruct import LocalRBFReconstructor

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
        assert outcomes[f"read_metadata {outcome}"] >= 2, outcomes
    assert outcomes["recover"] > COUNT / 20
    assert COUNT / 100 < outcomes["recover as it was"] < outcomes["recover"]
    assert outcomes["strip"] > COUNT / 2


def test_files_as_they_are_come_back(known, tmp_path):
    trial = Trial(known, tmp_path)
    for subject in known:
        trial.run(subject, Mutant(subject.data))
    outcomes = trial.outcomes
    assert outcomes["read_metadata exact"] == len(known)
    # Missing bits are whole, and no raw.
    assert 0 < outcomes["recover PayloadMissing"] == outcomes["bit-depth recover"]
    assert outcomes["recover"] + outcomes["bit-depth recover"] == len(known)
    assert outcomes["recover as it was"] == outcomes["recover"]


def test_what_does_not_hold_is_noticed(known, tmp_path):
    # A forged payload that passes for a genuine one: nobody stored it.
    trial = Trial(known, tmp_path)
    subject = next(one for one in known if one.name == "packed in app11")
    forged = _with_a_bit_changed(subject.packed, b"VALU", -1, 7)
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


def named(known: list[Subject], name: str) -> Subject:
    return next(subject for subject in known if subject.name == name)


def test_enhancements_stand_beside_all_that_may_stand_there(known):
    kinds = set()
    for subject in known:
        payload = codec.decode(subject.packed, lambda subject=subject: subject.pixels)
        if payload.enhancement is not None:
            model, mosaic = payload.samples.model, payload.mosaic
            whole = mosaic and ("guided mosaic" if mosaic.guided else "mosaic alone")
            kinds.add((model and model.network, payload.samples.control, whole))
    assert kinds == {
        (None, False, None),
        ("", False, None),
        (FEATURES, True, None),
        ("", False, "guided mosaic"),
        (None, False, "mosaic alone"),
    }


@pytest.mark.parametrize("kind", ["eNHA", "eNHA, lRBF", "eNHA, CTRL, network"])
def test_the_picture_that_mutants_are_held_against_is_the_enhanced_one(known, tmp_path, kind):
    subject = named(known, f"{kind} in app11")
    bare = sealed(
        subject.packed[:40], [s for s in sections(subject.packed) if s[0] not in (b"eNHA", b"fILT")]
    )
    truth = (subject.codes - 64) / 4031

    def figure(packed: bytes) -> float:
        path = tmp_path / subject.file
        path.write_bytes(subject.carrying(packed))
        return psnr(io.remosaic(recover(path).raw, "RGGB"), truth)

    assert figure(subject.packed) > figure(bare) + 3


@pytest.mark.parametrize("kind", ["eNHA", "eNHA, lRBF", "eNHA, CTRL, network"])
def test_a_wrong_correction_is_noticed(known, tmp_path, monkeypatch, kind):
    subject = named(known, f"{kind} in app11")
    trial = Trial([subject], tmp_path)
    trial.run(subject, Mutant(subject.data))
    monkeypatch.setattr(codec.Enhancement, "apply", lambda _self, recovered: recovered)
    with pytest.raises(Broken, match="another raw picture"):
        trial.run(subject, Mutant(subject.data))


def test_a_correction_of_samples_is_noticed(known, tmp_path, monkeypatch):
    subject = named(known, "eNHA, lRBF in app11")
    trial = Trial([subject], tmp_path)
    forward = LocalRBFReconstructor.forward
    monkeypatch.setattr(LocalRBFReconstructor, "forward", lambda *given: forward(*given) * 0.9)
    with pytest.raises(Broken, match="samples are changed"):
        trial.run(subject, Mutant(subject.data, subject.packed))


def test_a_damaged_correction_is_refused_and_a_forged_one_does_no_harm(known, tmp_path):
    subject = named(known, "eNHA, lRBF beside a.jpg")
    trial = Trial([subject], tmp_path)
    size = len(dict(sections(subject.packed))[b"eNHA"])
    with bounded_memory():
        for place in range(0, size, 5):
            forged = _with_a_bit_changed(subject.packed, b"eNHA", place, place % 8)
            trial.run(subject, Mutant(forged, forged))
            # The new byte among the old checksums.
            at = forged.index(b"eNHA") + 8 + place
            damaged = subject.packed[:at] + forged[at : at + 1] + subject.packed[at + 1 :]
            trial.run(subject, Mutant(damaged))
    count = len(range(0, size, 5))
    outcomes = trial.outcomes
    assert outcomes["read_metadata PayloadCorrupt"] >= count
    # Step, offsets and channels may be anything; coded levels that were changed do not end well.
    assert min(outcomes["recover"], outcomes["recover PayloadCorrupt"]) >= 3, outcomes
    assert not outcomes["recover as it was"]


def test_any_correction_that_is_whole_gives_a_picture(known, tmp_path):
    subject = named(known, "eNHA, lRBF beside a.jpg")
    bare = [part for part in sections(subject.packed) if part[0] != b"eNHA"]
    trial = Trial([subject], tmp_path)
    for number in range(60):
        parts = [*bare, (b"eNHA", correction(random.Random(number)))]
        forged = sealed(subject.packed[:40], parts)
        trial.run(subject, Mutant(forged, forged))
    assert trial.outcomes["recover"] == 60, trial.outcomes


def _with_a_bit_changed(packed: bytes, name: bytes, place: int, bit: int) -> bytes:
    """A payload with that byte of a section changed, all checksums right."""
    parts = []
    for found, content in sections(packed):
        changed = bytearray(content)
        if found == name:
            changed[place] ^= 1 << bit
        parts.append((found, bytes(changed)))
    return sealed(packed[:40], parts)


def test_enhanced_mosaics_are_filtered_too(known):
    filtered = [s.name for s in known if b"fILT" in dict(sections(s.packed))]
    assert len(filtered) > 3, filtered

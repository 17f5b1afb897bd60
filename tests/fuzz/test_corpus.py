"""Every input that guided fuzzing found worth keeping, read once more."""

from __future__ import annotations

import pytest
from corpus import kept
from targets import FILE, PAYLOAD, as_input, payload_of, read

from isp_meta.codec import decode
from isp_meta.errors import IspMetaError

INPUTS = dict(kept())


def test_kept_inputs_do_no_harm():
    assert len(INPUTS) > 100
    assert {content[:1] for content in INPUTS.values()} >= {FILE, PAYLOAD}
    for content in INPUTS.values():
        read(content)


def test_kept_inputs_reach_both_sides_of_the_checks():
    outcomes = set()
    for content in INPUTS.values():
        if content[:1] == PAYLOAD:
            try:
                payload = decode(payload_of(content[1:]))
            except IspMetaError as error:
                outcomes.add(type(error).__name__)
            else:
                outcomes.add("read" if payload.enhancement is None else "read, enhanced")
    assert outcomes >= {"read", "read, enhanced", "PayloadCorrupt", "PictureMismatch"}


def test_an_input_is_a_payload_without_what_can_be_computed():
    packed = payload_of(next(c for c in INPUTS.values() if c[:1] == PAYLOAD and len(c) > 600)[1:])
    assert len(as_input(packed)) < len(packed)
    assert payload_of(as_input(packed)[1:]) == packed


def test_what_does_not_hold_is_noticed(monkeypatch):
    content = next(c for c in INPUTS.values() if c[:1] == FILE and c[1:3] == b"\xff\xd8")
    monkeypatch.setattr("isp_meta.carriers.strip", lambda data: data + b"more")
    with pytest.raises(AssertionError):
        read(content)

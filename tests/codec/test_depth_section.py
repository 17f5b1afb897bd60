from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta import Camera, Samples
from isp_meta.codec import Binding, Depth, Payload, Steps, decode, encode
from isp_meta.codec.sections import join, split
from isp_meta.errors import PayloadCorrupt

KNOWN = frozenset({b"CAMR", b"IDNT", b"BIND", b"MEAN", b"POSN", b"VALU"})


def payload_of(depth):
    generator = torch.Generator().manual_seed(0)
    most = 2**depth.taken - 1
    missing = torch.randint(most + 1, (6, 3), generator=generator)
    samples = Samples(torch.arange(6) * 7, missing.float() / most, 6, 8, 4)
    pixels = torch.zeros(3, 6, 8, dtype=torch.uint8)
    binding = Binding.of(pixels, bytes(32))
    return Payload(samples, Camera(), binding, depth.steps, depth=depth), missing


@pytest.mark.parametrize("coding", ["range", "packed"])
@settings(deadline=None)
@given(true=st.integers(2, 16), data=st.data())
def test_missing_bits_come_back_exactly(coding, true, data):
    left = data.draw(st.integers(1, true - 1))
    depth = Depth(true, left, "network", "some-net-1")
    payload, missing = payload_of(depth)
    found = decode(encode(payload, coding=coding))
    assert found.depth == depth
    most = 2**depth.taken - 1
    assert torch.equal((found.samples.value.double() * most).round().long(), missing)


def test_bytes_of_the_section():
    assert Depth(8, 4, "guided", "net").pack() == b"\x08\x04\x02\x00\x03net"
    assert Depth(16, 8).pack() == b"\x10\x08\x00\x00\x00"


@pytest.mark.parametrize(
    "section",
    [
        b"",
        b"\x08\x04\x00\x00",
        b"\x08\x08\x00\x00\x00",
        b"\x11\x04\x00\x00\x00",
        b"\x08\x00\x00\x00\x00",
        b"\x08\x04\x03\x00\x00",
        b"\x08\x04\x01\x00\x00",
        b"\x08\x04\x00\x00\x01a",
        b"\x08\x04\x01\x00\x02/.",
        b"\x08\x04\x00\x00\x00!",
    ],
)
def test_what_no_writer_makes_is_refused(section):
    header, found = split(encode(payload_of(Depth(8, 4))[0]), KNOWN, frozenset({b"DPTH"}))
    with pytest.raises(PayloadCorrupt, match="DPTH"):
        decode(join(header, {**found, b"DPTH": section}))


def test_a_depth_that_does_not_fit_the_values_is_refused():
    header, found = split(encode(payload_of(Depth(8, 4))[0]), KNOWN, frozenset({b"DPTH"}))
    with pytest.raises(PayloadCorrupt, match="DPTH"):
        decode(join(header, {**found, b"DPTH": Depth(8, 5).pack()}))
    payload, _ = payload_of(Depth(8, 4))
    with pytest.raises(ValueError, match="missing bits"):
        dataclasses.replace(payload, steps=Steps())


def test_a_reader_that_knows_nothing_of_it_refuses():
    with pytest.raises(PayloadCorrupt, match="needs section DPTH"):
        split(encode(payload_of(Depth(8, 4))[0]), KNOWN)

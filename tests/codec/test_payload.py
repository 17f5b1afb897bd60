from __future__ import annotations

import dataclasses
import hashlib
import struct
import time
from collections.abc import Callable

import pytest
import torch
from golden import golden
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta import _payload
from isp_meta.camera import Camera
from isp_meta.codec import Binding, Payload, Steps, decode, encode, quantize
from isp_meta.codec.header import Header
from isp_meta.errors import PayloadCorrupt, PictureMismatch
from isp_meta.samples import Samples

CODINGS = ("predicted", "range", "packed")


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    "steps",
    [*map(Steps.linear, range(8, 17)), *(Steps(n, s) for n in (1, 5, 320, 65535) for s in (0, 16))],
    ids=str,
)
def test_round_trip_at_every_depth(coding, steps, make_payload, finished, assert_same):
    payload = make_payload(steps=steps)
    pixels = finished(payload)
    data = encode(payload, coding=coding, pixels=pixels)
    decoded = decode(data, lambda: pixels)
    assert_same(decoded, payload)
    assert encode(decoded, coding=coding, pixels=pixels) == data
    assert data[8:10] == bytes((1, 0))


@pytest.mark.parametrize("coding", CODINGS)
def test_round_trip_without_samples(coding, make_payload, finished, assert_same):
    payload = make_payload(index=torch.zeros(0, dtype=torch.int64))
    pixels = finished(payload)
    assert_same(decode(encode(payload, coding=coding, pixels=pixels), lambda: pixels), payload)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("cell", [0, 1, 8])
def test_round_trip_of_every_pixel(coding, cell, make_payload, finished, assert_same):
    payload = make_payload(17, 23, cell=cell, index=torch.arange(17 * 23))
    pixels = finished(payload)
    assert_same(decode(encode(payload, coding=coding, pixels=pixels), lambda: pixels), payload)


def test_predicted_values_of_a_forged_size_are_refused(make_payload, finished):
    payload = make_payload()
    pixels = finished(payload)
    data = encode(payload, coding="predicted", pixels=pixels)
    # One row fewer, and the blocks that MEAN speaks of are as many.
    forged = data[:24] + (95).to_bytes(4, "big") + data[28:-32]
    with pytest.raises(PictureMismatch):
        decode(forged + hashlib.sha256(forged).digest(), lambda: pixels)


def test_predicted_values_need_the_very_pixels(make_payload, finished):
    payload = make_payload()
    pixels = finished(payload)
    data = encode(payload, coding="predicted", pixels=pixels)
    other = pixels.clone()
    other[1, 50, 60] ^= 1
    with pytest.raises(PictureMismatch, match="compressed again or edited since, or its decoder"):
        decode(data, lambda: other)
    with pytest.raises(PictureMismatch, match="without the picture"):
        decode(data)
    for wrong in (None, other):
        with pytest.raises(ValueError, match="needs the pixels that the payload is bound to"):
            encode(payload, coding="predicted", pixels=wrong)


def test_prediction_pays(make_payload, finished):
    payload = make_payload(400, 600)
    predicted = encode(payload, coding="predicted", pixels=finished(payload))
    assert len(predicted) < 0.9 * len(encode(payload))


def test_coarse_steps_pay(make_payload):
    fine, coarse = make_payload(400, 600, steps=Steps.linear(14)), make_payload(400, 600)
    assert len(encode(coarse)) < 0.7 * len(encode(fine))


def test_range_coding_is_the_smaller(make_payload):
    payload = make_payload(400, 600)
    assert len(encode(payload)) < 0.8 * len(encode(payload, coding="packed"))


@pytest.mark.parametrize("coding", ["predicted", "range"])
def test_twelve_megapixels_take_a_second_or_so(coding, make_payload, finished, assert_same):
    payload = make_payload(3000, 4000)
    pixels = finished(payload)
    start = time.process_time()
    data = encode(payload, coding=coding, pixels=pixels)
    middle = time.process_time()
    decoded = decode(data, lambda: pixels)
    end = time.process_time()
    assert_same(decoded, payload)
    assert middle - start < 1.5
    assert end - middle < 1.5


def test_binding_must_fit_the_samples(make_payload):
    small, large = make_payload(64, 64), make_payload(64, 72)
    with pytest.raises(ValueError, match=r"64x64 pixels cannot travel in a picture of 72x64"):
        Payload(small.samples, small.camera, large.binding)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sampler": "x" * 70000}, "too long"),
    ],
)
def test_encode_refuses_what_the_format_cannot_hold(changes, text, make_payload):
    with pytest.raises(ValueError, match=text):
        encode(dataclasses.replace(make_payload(), **changes))


def test_encode_refuses_an_unknown_coding(make_payload):
    with pytest.raises(ValueError, match="coding must be predicted, range or packed"):
        encode(make_payload(), coding="zip")


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1, float("inf")])
def test_encode_refuses_values_outside_of_the_range(value, make_payload):
    payload = make_payload()
    payload.samples.value[3, 1] = value
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        encode(payload)


@pytest.mark.parametrize("bits", [8, 14, 16])
def test_quantize_is_idempotent_and_near(bits):
    value = torch.linspace(0, 1, 100003)
    steps = Steps.linear(bits)
    once = quantize(value, steps)
    assert once.dtype == torch.float32
    assert torch.equal(quantize(once, steps), once)
    assert float((once - value).abs().max()) <= 0.5001 / (2**bits - 1)
    assert once[0] == 0
    assert once[-1] == 1


@pytest.mark.parametrize("coding", CODINGS)
def test_every_flipped_byte_is_noticed(coding, make_payload, finished):
    payload = make_payload(24, 40)
    data = encode(payload, coding=coding, pixels=finished(payload))
    for place in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[place] ^= flip
            with pytest.raises(PayloadCorrupt):
                decode(bytes(damaged))


@pytest.mark.parametrize("coding", CODINGS)
def test_every_truncation_is_noticed(coding, make_payload, finished):
    payload = make_payload(24, 40)
    data = encode(payload, coding=coding, pixels=finished(payload))
    for end in range(len(data)):
        with pytest.raises(PayloadCorrupt):
            decode(data[:end])
    with pytest.raises(PayloadCorrupt, match="bytes long, not"):
        decode(data + b"\x00")


@pytest.mark.parametrize(
    ("version", "text"),
    [((2, 5), r"newer version .* 2\.5.* knows 1\.x"), ((0, 5), r"version 0\.5, which never was")],
)
def test_another_major_version_is_named(version, text, make_payload):
    data = bytearray(encode(make_payload()))
    data[8:10] = bytes(version)
    with pytest.raises(PayloadCorrupt, match=text):
        decode(bytes(data))


def reseal(data: bytes, edit: Callable[[bytearray], None]) -> bytes:
    """Edits a payload and makes all of its checksums right again, as an attacker would."""
    import zlib

    body = bytearray(data[:-32])
    edit(body)
    place = Header.SIZE
    while place + 12 <= len(body):
        (length,) = struct.unpack_from(">I", body, place + 4)
        end = place + 8 + length
        if end + 4 > len(body):
            break
        crc = zlib.crc32(bytes(body[place : place + 4]) + bytes(body[place + 8 : end]))
        struct.pack_into(">I", body, end, crc)
        place = end + 4
    struct.pack_into(">Q", body, 12, len(body) + 32)
    return bytes(body) + hashlib.sha256(body).digest()


def try_decode(data: bytes) -> None:
    """Decodes; whatever comes out must be a valid payload or an error of ours, nothing else."""
    try:
        payload = decode(data, lambda: FORGED_PIXELS)
    except (PayloadCorrupt, PictureMismatch):
        return
    value = payload.samples.value
    assert bool(((value >= 0) & (value <= 1)).all())


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.data())
def test_forged_payloads_raise_nothing_but_our_error(data):
    original = forged_base(data.draw(st.sampled_from(CODINGS), "coding"))
    edits = data.draw(
        st.lists(
            st.tuples(st.integers(10, len(original) - 33), st.integers(0, 255)),
            min_size=1,
            max_size=4,
        )
    )

    def edit(body: bytearray) -> None:
        for place, byte in edits:
            body[place] = byte

    try_decode(reseal(original, edit))


def test_every_forged_byte_raises_nothing_but_our_error():
    for coding in CODINGS:
        original = forged_base(coding)
        for place in range(10, len(original) - 32):
            for flip in (1, 0x10, 0x80):

                def edit(body: bytearray, place: int = place, flip: int = flip) -> None:
                    body[place] ^= flip

                try_decode(reseal(original, edit))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_our_error(data):
    for forged in (data, encode(golden())[:40] + data):
        with pytest.raises(PayloadCorrupt):
            decode(forged)


def forged_base(coding: str) -> bytes:
    index = torch.tensor([3, 17, 40, 41, 77, 200, 210, 305, 333, 380])
    value = torch.arange(30).view(10, 3) / 31
    samples = Samples(index, value, 20, 20, 5)
    binding = Binding.of(FORGED_PIXELS, b"s" * 32)
    payload = Payload(samples, Camera(make="M"), binding)
    return encode(payload, coding=coding, pixels=FORGED_PIXELS)


FORGED_PIXELS = torch.arange(3 * 20 * 20).remainder(251).to(torch.uint8).view(3, 20, 20)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        (20, 0, "out of range"),
        (20, 1 << 20, "MEAN"),
        (20, 1 << 21, "out of range"),
        (28, 1 << 21, "cell must be"),
        (32, 401, "401 samples are too many"),
        (32, 11, "damaged|wrong|VALU"),
        (32, 9, "damaged"),
    ],
)
def test_forged_header_fields_are_refused(field, value, text):
    with pytest.raises(PayloadCorrupt, match=text):
        decode(
            reseal(forged_base("range"), lambda body: struct.pack_into(">I", body, field, value))
        )


def test_few_bytes_cannot_ask_for_many_samples():
    """A bomb: the largest picture and count, with the sections of a small payload."""

    def edit(body: bytearray) -> None:
        struct.pack_into(">IIII", body, 20, 1 << 20, 1 << 11, 0, _payload.MOST_SAMPLES)
        place = body.index(b"MEAN")
        means = bytes(((1 << 20) // 64) * ((1 << 11) // 64))
        (length,) = struct.unpack_from(">I", body, place + 4)
        body[place : place + 12 + length] = (
            struct.pack(">4sI", b"MEAN", len(means)) + means + b"0000"
        )

    with pytest.raises(PayloadCorrupt, match="too short for its samples"):
        decode(reseal(forged_base("range"), edit))

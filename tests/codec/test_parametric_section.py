from __future__ import annotations

import dataclasses
import struct

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isp_meta.baselines import ParametricReconstructor, fit_parametric
from isp_meta.codec import Payload, decode, encode
from isp_meta.codec.parametric import pack_parametric, unpack_parametric
from isp_meta.codec.reader import as_tensors
from isp_meta.codec.sections import join, split
from isp_meta.errors import PayloadCorrupt
from isp_meta.samples import ParametricModel, Samples


def unpack(data):
    return as_tensors(unpack_parametric(data))


FIELDS = ("gains", "matrix", "curves", "points", "weights")
KNOWN = frozenset({b"CAMR", b"IDNT", b"BIND", b"MEAN", b"POSN", b"VALU"})
# gains, matrix, curves, radius, number of points
FIXED = 4 * (3 + 9 + 3 * 256 + 1) + 2


def model_of(points: int, seed: int = 0) -> ParametricModel:
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    return ParametricModel(
        gains=uniform(3) + 0.5,
        matrix=torch.eye(3) + 0.2 * uniform(3, 3),
        curves=uniform(3, 256).cumsum(1) / 128 - 0.01,
        points=uniform(points, 3),
        weights=20 * uniform(points, 3) - 10,
        radius=0.1,
    )


def assert_equal(found: ParametricModel | None, model: ParametricModel) -> None:
    assert found is not None
    for name in FIELDS:
        assert torch.equal(getattr(found, name), getattr(model, name)), name
    assert found.radius == model.radius


@pytest.mark.parametrize("points", [0, 1, 300, ParametricModel.MOST_POINTS])
def test_round_trip_of_a_rounded_model(points):
    model = model_of(points).rounded()
    data = pack_parametric(model)
    assert len(data) == FIXED + 12 * points
    assert len(data) <= 64 * 1024
    assert_equal(unpack(data), model)
    assert pack_parametric(unpack(data)) == data


def test_any_model_is_stored_rounded():
    model = model_of(50)
    data = pack_parametric(model)
    assert data == pack_parametric(model.rounded())
    assert_equal(unpack(data), model.rounded())


def test_rounding_moves_little():
    model, rounded = model_of(500), model_of(500).rounded()
    assert 0 < float((rounded.points - model.points).abs().max()) <= 0.5001 / 65535
    relative = (rounded.weights / model.weights - 1).abs()
    assert 0 < float(relative.max()) <= 2**-11


def test_the_ends_of_every_range_are_stored():
    most = ParametricModel.LARGEST
    curves = torch.linspace(-most, most, 256).repeat(3, 1)
    ends = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, 1.0]])
    gains, matrix = torch.tensor([1 / most, most, 1.0]), torch.full((3, 3), -most)
    for radius in (1 / most, most):
        model = ParametricModel(gains, matrix, curves, ends, most * (2 * ends - 1), radius)
        assert_equal(unpack(pack_parametric(model)), model.rounded())


def test_a_fitted_model_travels_in_a_payload_unchanged(make_payload, picture):
    payload = make_payload()
    raw = picture(96, 130)
    model = fit_parametric(raw, raw.sqrt(), payload.camera, points=400)
    data = encode(dataclasses.replace(payload, parametric=model))
    assert encode(dataclasses.replace(payload, parametric=model)) == data
    decoded = decode(data)
    assert decoded.parametric is not None
    assert_equal(decoded.parametric, model)
    assert encode(decoded) == data
    assert repr(ParametricReconstructor(decoded.parametric)) == repr(ParametricReconstructor(model))


def test_without_a_model_nothing_is_written(make_payload, assert_same):
    payload = make_payload()
    data = encode(payload)
    assert b"pARA" not in data
    assert decode(data).parametric is None
    with_model = dataclasses.replace(payload, parametric=model_of(9))
    longer = encode(with_model)
    assert len(longer) == len(data) + 12 + FIXED + 12 * 9
    assert_same(decode(longer), payload)


def test_a_model_needs_no_samples(make_payload):
    payload = make_payload()
    none = Samples(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3), 96, 130)
    alone = Payload(none, payload.camera, payload.binding, parametric=model_of(2).rounded())
    assert_equal(decode(encode(alone)).parametric, model_of(2).rounded())


def test_a_reader_that_does_not_know_the_section_skips_it(make_payload):
    data = encode(dataclasses.replace(make_payload(), parametric=model_of(3)))
    _, found = split(data, KNOWN)
    assert found.keys() == KNOWN
    _, found = split(data, KNOWN, frozenset({b"pARA"}))
    assert found.keys() == KNOWN | {b"pARA"}


def test_a_damaged_section_refuses_the_payload(make_payload):
    header, found = split(encode(make_payload()), KNOWN)
    with pytest.raises(PayloadCorrupt, match="section pARA of the raw metadata ends too early"):
        decode(join(header, {**found, b"pARA": b"abc"}))


def test_every_truncation_is_noticed():
    data = pack_parametric(model_of(4))
    for end in [*range(0, len(data), 17), len(data) - 1]:
        with pytest.raises(PayloadCorrupt, match="ends too early"):
            unpack(data[:end])
    with pytest.raises(PayloadCorrupt, match="1 bytes too long"):
        unpack(data + b"\0")


@pytest.mark.parametrize(
    ("place", "layout", "value", "text"),
    [
        (0, ">f", 0.0, "gains must be"),
        (4, ">f", float("nan"), "gains must be finite"),
        (12, ">f", float("inf"), "matrix must be finite"),
        (12, ">f", 1e30, "matrix must be finite"),
        (48, ">f", 5.0, "never fall"),
        (48, ">f", -1e9, "curves must be finite"),
        (FIXED - 6, ">f", float("nan"), "radius must be"),
        (FIXED - 6, ">f", -1.0, "radius must be"),
        (FIXED - 2, ">H", 65535, "ends too early"),
        (FIXED - 2, ">H", 3, "too long"),
        (FIXED + 24, ">e", float("nan"), "weights must be finite"),
        (FIXED + 24, ">H", 0x7D01, "weights must be finite"),
        (FIXED + 24, ">e", 60000.0, "weights must be finite"),
    ],
)
def test_numbers_that_no_model_has_are_refused(place, layout, value, text):
    data = bytearray(pack_parametric(model_of(4)))
    struct.pack_into(layout, data, place, value)
    with pytest.raises(PayloadCorrupt, match=f"section pARA.*{text}"):
        unpack(bytes(data))


def test_too_many_points_are_refused():
    data = bytearray(pack_parametric(model_of(0)))
    struct.pack_into(">H", data, FIXED - 2, 5001)
    with pytest.raises(PayloadCorrupt, match="5001 control points are too many"):
        unpack(bytes(data) + bytes(12 * 5001))


def try_unpack(data: bytes) -> None:
    """Whatever comes out is a valid model, which any color survives, or our own error."""
    try:
        model = unpack(data)
    except PayloadCorrupt:
        return
    assert pack_parametric(model) == data
    color = torch.tensor([[0.0, 1.0, 0.5], [0.3, 1.0, 0.6]])
    linear = model.curves[:, [0, 255]].T
    kernel = (1 - torch.cdist(color[:2], model.points) / model.radius).clamp(min=0) ** 2
    raw = (linear @ model.matrix.T + kernel @ model.weights) / model.gains
    assert bool(raw.isfinite().all())


BASE = pack_parametric(model_of(4))


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.integers(0, len(BASE) - 1),
                st.integers(0, 50),
                st.integers(FIXED - 8, len(BASE) - 1),
            ),
            st.integers(0, 255),
        ),
        max_size=6,
    )
)
def test_forged_bytes_raise_nothing_but_our_error(edits):
    data = bytearray(BASE)
    for place, byte in edits:
        data[place] = byte
    try_unpack(bytes(data))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.integers(0, len(BASE)))
@example(b"", 0)
def test_arbitrary_bytes_raise_nothing_but_our_error(noise, kept):
    try_unpack(BASE[:kept] + noise)

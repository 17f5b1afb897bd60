from __future__ import annotations

import dataclasses
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta.codec import Depth, decode, encode
from isp_meta.codec.local_rbf import pack_local_rbf, unpack_local_rbf
from isp_meta.codec.reader import as_tensors
from isp_meta.codec.sections import join, split
from isp_meta.errors import PayloadCorrupt
from isp_meta.samples import LocalRBFModel


def unpack(data):
    return as_tensors(unpack_local_rbf(data))


TENSORS = ("cubic", "centers", "gains", "weights")
SCALARS = ("kernel", "position_scale", "color_scale", "ridge", "neighbors")
KNOWN = frozenset({b"CAMR", b"IDNT", b"BIND", b"MEAN", b"POSN", b"VALU"})
# kernel, neighbors, three scales, numbers of centers and features, cubic
FIXED = 2 + 12 + 2 + 4 * 60


def model_of(centers: int = 5, features: int = 33, seed: int = 0) -> LocalRBFModel:
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    return LocalRBFModel(
        kernel="rational",
        position_scale=64.1,
        color_scale=0.1,
        ridge=0.05,
        neighbors=24,
        cubic=uniform(3, 20) - 0.5,
        centers=uniform(centers, 3),
        gains=4 * uniform(centers, 3) - 2,
        weights=2 * uniform(3, features) - 1,
    )


def assert_equal(found: LocalRBFModel | None, model: LocalRBFModel) -> None:
    assert found is not None
    for name in SCALARS:
        assert getattr(found, name) == getattr(model, name), name
    for name in TENSORS:
        assert torch.equal(getattr(found, name), getattr(model, name)), name


@pytest.mark.parametrize(("centers", "features"), [(0, 0), (1, 33), (255, 33), (3, 0)])
def test_round_trip_of_a_rounded_model(centers, features):
    model = model_of(centers, features).rounded()
    data = pack_local_rbf(model)
    assert len(data) == FIXED + 9 * centers + 6 * features
    assert_equal(unpack(data), model)
    assert pack_local_rbf(unpack(data)) == data


def test_a_network_is_stored_by_its_name():
    weights = torch.linspace(-1, 1, 3 * 49).view(3, 49)
    model = dataclasses.replace(model_of(4), weights=weights, network="features-1").rounded()
    data = pack_local_rbf(model)
    assert len(data) == FIXED + 9 * 4 + 6 * 49 + 2 + len("features-1")
    found = unpack(data)
    assert_equal(found, model)
    assert found.network == "features-1"
    for cut in range(FIXED + 9 * 4 + 6 * 49, len(data)):
        with pytest.raises(PayloadCorrupt):
            unpack(data[:cut])


@pytest.mark.parametrize(("features", "network"), [(33, "features-1"), (49, "")])
def test_features_are_those_of_a_network_or_not(features, network):
    with pytest.raises(ValueError, match="with a network"):
        dataclasses.replace(model_of(4, 33), weights=torch.zeros(3, features), network=network)


def test_any_model_is_stored_rounded():
    model = model_of()
    assert pack_local_rbf(model) == pack_local_rbf(model.rounded())
    rounded = model.rounded()
    assert 0 < float((rounded.centers - model.centers).abs().max()) <= 0.5001 / 255
    assert 0 < float((rounded.gains - model.gains).abs().max()) <= 0.5001 / 4096
    assert float((rounded.weights / model.weights - 1).abs().max()) <= 2**-11


def test_the_ends_of_every_range_are_stored():
    most = LocalRBFModel.LARGEST
    for sign, scale in ((1, most), (-1, 1 / most)):
        model = LocalRBFModel(
            "exponential",
            *(scale,) * 3,
            96,
            torch.full((3, 20), sign * most),
            torch.tensor([[0.0, 1.0, 0.0]]),
            torch.full((1, 3), 8.0 * sign),
            torch.full((3, 33), sign * most),
        )
        assert_equal(unpack(pack_local_rbf(model)), model.rounded())


@pytest.mark.parametrize("control", [False, True])
def test_a_model_travels_with_its_samples(make_payload, assert_same, control):
    plain = make_payload()
    samples = dataclasses.replace(plain.samples, model=model_of(), control=control)
    payload = dataclasses.replace(plain, samples=samples)
    data = encode(payload)
    decoded = decode(data)
    assert_same(decoded, payload)
    assert_equal(decoded.samples.model, model_of().rounded())
    assert decoded.samples.control is control
    assert encode(decoded) == data
    section = 12 + FIXED + 9 * 5 + 6 * 33
    assert len(data) == len(encode(plain)) + section + 12 * control
    assert decode(encode(plain)).samples.model is None


def test_a_reader_that_does_not_know_controls_must_not_take_them_for_raw(make_payload):
    plain = make_payload()
    samples = dataclasses.replace(plain.samples, model=model_of())
    _, found = split(encode(dataclasses.replace(plain, samples=samples)), KNOWN)
    assert found.keys() == KNOWN
    samples = dataclasses.replace(samples, control=True)
    with pytest.raises(PayloadCorrupt, match="needs section CTRL"):
        split(encode(dataclasses.replace(plain, samples=samples)), KNOWN)


def test_controls_without_their_model_are_refused(make_payload):
    header, found = split(encode(make_payload()), KNOWN)
    with pytest.raises(PayloadCorrupt, match=r"section CTRL .* needs an lRBF"):
        decode(join(header, {**found, b"CTRL": b""}))
    whole = {**found, b"lRBF": pack_local_rbf(model_of())}
    with pytest.raises(PayloadCorrupt, match=r"section CTRL .* must be empty"):
        decode(join(header, {**whole, b"CTRL": b"x"}))


def test_missing_bits_are_no_control_values(make_payload):
    depth = Depth(8, 4)
    payload = dataclasses.replace(make_payload(), steps=depth.steps, depth=depth)
    header, found = split(encode(payload), KNOWN, frozenset({b"DPTH"}))
    controls = {b"lRBF": pack_local_rbf(model_of()), b"CTRL": b""}
    with pytest.raises(PayloadCorrupt, match=r"DPTH and CTRL .* exclude"):
        decode(join(header, {**found, **controls}))
    samples = dataclasses.replace(payload.samples, model=model_of(), control=True)
    with pytest.raises(ValueError, match="missing bits are no control values"):
        dataclasses.replace(payload, samples=samples)


def test_every_truncation_is_noticed():
    data = pack_local_rbf(model_of())
    for end in [*range(0, len(data), 7), len(data) - 1]:
        with pytest.raises(PayloadCorrupt, match="ends too early"):
            unpack(data[:end])
    with pytest.raises(PayloadCorrupt, match="1 bytes too long"):
        unpack(data + b"\0")


@pytest.mark.parametrize(
    ("place", "layout", "value", "text"),
    [
        (0, ">B", 2, "unknown kernel"),
        (1, ">B", 0, "neighbors must be 1 to 96"),
        (1, ">B", 97, "neighbors must be 1 to 96"),
        (2, ">f", 0.0, "position_scale must be"),
        (6, ">f", float("nan"), "color_scale must be"),
        (10, ">f", -1.0, "ridge must be"),
        (16, ">f", float("inf"), "cubic must be finite"),
        (FIXED + 15, ">h", 32767, None),
        (FIXED + 45, ">e", float("nan"), "weights must be finite"),
        (FIXED + 45, ">e", 10000.0, "weights must be finite"),
    ],
)
def test_numbers_that_no_model_has_are_refused(place, layout, value, text):
    data = bytearray(pack_local_rbf(model_of()))
    struct.pack_into(layout, data, place, value)
    if text is None:
        assert pack_local_rbf(unpack(bytes(data))) == bytes(data)
        return
    with pytest.raises(PayloadCorrupt, match=f"section lRBF.*{text}"):
        unpack(bytes(data))


def test_other_numbers_of_features_are_refused():
    data = bytearray(pack_local_rbf(model_of(0, 0)))
    data[15] = 5
    with pytest.raises(PayloadCorrupt, match="0 or 33 features"):
        unpack(bytes(data) + bytes(30))


BASE = pack_local_rbf(model_of())


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(BASE)),
)
def test_forged_bytes_raise_nothing_but_our_error(edits, kept):
    data = bytearray(BASE)
    for place, byte in edits:
        data[place] = byte
    for forged in (bytes(data), bytes(data[:kept])):
        try:
            model = unpack(forged)
        except PayloadCorrupt:
            continue
        assert pack_local_rbf(model) == forged

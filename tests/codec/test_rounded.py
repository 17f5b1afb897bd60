"""What a payload says that a reader gets, and what a reader gets."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from isp_meta.camera import Camera
from isp_meta.codec import Binding, Depth, Enhancement, Mosaic, Payload, Steps, decode, encode
from isp_meta.samples import LocalRBFModel, ParametricModel, Samples

CODINGS = ("predicted", "range", "packed")
SCALES = st.floats(1 / 8192, 8192)


def assert_same_bits(found: Any, wanted: Any, name: str = "payload") -> None:
    assert type(found) is type(wanted), name
    if dataclasses.is_dataclass(wanted):
        for field in dataclasses.fields(wanted):
            of = getattr(found, field.name), getattr(wanted, field.name)
            assert_same_bits(*of, f"{name}.{field.name}")
    elif isinstance(wanted, Tensor):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), name
        assert found.numpy().tobytes() == wanted.numpy().tobytes(), name
    else:
        assert repr(found) == repr(wanted), name  # tells -0.0 from 0.0, and knows nan


class Numbers:
    """Tensors that depend on a seed, with the ends of their range and both zeros among them."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def whole(self, most: int, *shape: int) -> Tensor:
        return torch.randint(most + 1, shape, generator=self.generator)

    def within(self, low: float, high: float, *shape: int) -> Tensor:
        tiny = 10.0 ** -self.whole(9, *shape).float()
        value = low + (high - low) * torch.rand(shape, generator=self.generator)
        ends = torch.tensor([low, high, 0.0, -0.0])[self.whole(3, *shape)]
        return torch.where(self.whole(3, *shape) == 0, ends, value * tiny).clamp(low, high)


@st.composite
def models(draw: st.DrawFn, numbers: Numbers) -> LocalRBFModel:
    centers, features = draw(st.integers(0, 255)), draw(st.sampled_from([0, 33, 34, 49]))
    return LocalRBFModel(
        kernel=draw(st.sampled_from(LocalRBFModel.KERNELS)),
        position_scale=draw(SCALES),
        color_scale=draw(SCALES),
        ridge=draw(SCALES),
        neighbors=draw(st.integers(1, 96)),
        cubic=numbers.within(-8192, 8192, 3, 20),
        centers=numbers.within(0, 1, centers, 3),
        gains=numbers.within(-8, 8, centers, 3),
        weights=numbers.within(-8192, 8192, 3, features),
        network="features-1" if features > 33 else "",
    )


@st.composite
def formulas(draw: st.DrawFn, numbers: Numbers) -> ParametricModel:
    points = draw(st.integers(0, 60))
    return ParametricModel(
        gains=numbers.within(1 / 8192, 8192, 3),
        matrix=numbers.within(-8192, 8192, 3, 3),
        curves=numbers.within(-8192, 8192, 3, 256).sort().values,
        points=numbers.within(0, 1, points, 3),
        weights=numbers.within(-8192, 8192, points, 3),
        radius=draw(SCALES),
    )


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def payloads(draw: st.DrawFn) -> tuple[Payload, Tensor]:
    """One with any of its parts, and the picture that it is bound to."""
    numbers = Numbers(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    pixels = numbers.whole(255, 3, height, width).to(torch.uint8)
    chosen = numbers.whole(99, height * width) < draw(st.sampled_from([0, 5, 50, 100]))
    index = chosen.nonzero()[:, 0]
    model, control, depth = draw(optional(models(numbers))), False, None
    steps = Steps(draw(st.integers(1, 65535)), draw(st.integers(0, 64)))
    if model is not None:
        control = draw(st.booleans())
    elif draw(st.booleans()):
        depth = Depth(draw(st.integers(9, 16)), 8, "network", "some-net-1")
        steps = depth.steps
    value = numbers.within(0, 1, len(index), 3)
    samples = Samples(index, value, height, width, draw(st.integers(0, 30)), model, control)
    camera = Camera(
        make="Maker",
        cfa="GBRG",
        black_level=(64, 64.25, 0, -0.0),
        white_level=4095,
        illuminant=17,
        orientation=draw(st.integers(1, 8)),
        crop=(-2, 5),
        exif={"Exif.Photo.FNumber": "28/10", "Exif.Image.Artist": "名前"},
        neutral=(0.5, 1.0, 0.6),
        noise=(1e-4, 1e-6),
    )
    mosaic = Mosaic.of(numbers.whole(4095, 1, height, width), "GBRG", pixels=pixels)
    coded = numbers.within(-1, 1, draw(st.integers(3, 4)), height, width)
    exponent, knee = draw(st.integers(0, 176)), draw(st.integers(0, 15))
    correction = Enhancement.of(coded, exponent, knee).with_share(draw(st.floats(0, 1)))
    return Payload(
        samples,
        camera,
        Binding.of(pixels, bytes(range(32))),
        steps,
        demosaic="bilinear",
        sampler="random",
        parametric=draw(optional(formulas(numbers))),
        mosaic=draw(optional(st.just(mosaic))),
        depth=depth,
        enhancement=draw(optional(st.just(correction))),
    ), pixels


@settings(max_examples=120, deadline=None, derandomize=True)
@given(payloads())
def test_a_reader_gets_what_is_rounded(made):
    payload, pixels = made
    rounded = payload.rounded()
    for coding in CODINGS:
        data = encode(payload, coding=coding, pixels=pixels)
        assert_same_bits(decode(data, lambda: pixels), rounded)
        assert encode(rounded, coding=coding, pixels=pixels) == data
    assert_same_bits(rounded.rounded(), rounded)


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1])
def test_values_that_no_payload_holds_are_refused(value, make_payload):
    payload = make_payload()
    payload.samples.value[3, 1] = value
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        payload.rounded()

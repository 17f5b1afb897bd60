"""Payloads of pictures that look like photographs to a coder: smooth, with edges and noise."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from isp_meta.camera import Camera
from isp_meta.codec import Binding, Payload, Steps, quantize
from isp_meta.samples import Samples

CAMERA = Camera(
    make="Maker",
    model="Modell Ä 1",
    cfa="GRBG",
    black_level=(64.0, 64.25, 63.5, 64.0),
    white_level=16383.0,
    as_shot_neutral=(0.1 + 0.2, 1.0, 1 / 3),
    color_matrix=(0.7, -0.1, 0.0, -0.5, 1.3, 1e-300, -0.0, 0.25, 0.6),
    illuminant=17,
    orientation=6,
    crop=(12, 34),
    exif={"Exif.Photo.ExposureTime": "1/250", "Exif.Image.Artist": "名前", "empty": ""},
)


def photograph(height: int, width: int, seed: int = 0) -> Tensor:
    """(3, H, W) float32 in [0, 1]: shading, a few edges, some noise, a clipped corner."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    light = 0.4 + 0.3 * torch.sin(x / 37) * torch.cos(y / 23) + 0.2 * ((x // 40 + y // 30) % 2)
    tint = torch.tensor([0.6, 1.0, 0.45]).view(3, 1, 1)
    noise = 0.01 * torch.randn((3, height, width), generator=generator)
    clipped = ((y < height // 8) & (x < width // 4)).float()
    return (light * tint + noise + clipped).clamp(0, 1)


def rendered(height: int, width: int) -> Tensor:
    """(3, H, W) uint8: what a camera might make of that photograph."""
    return (photograph(height, width).sqrt() * 255).round().to(torch.uint8)


def jittered_index(height: int, width: int, cell: int, seed: int = 0) -> Tensor:
    """One random pixel in each whole cell, (N,) int64 increasing."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = height // cell, width // cell
    y = torch.arange(rows).view(-1, 1) * cell
    x = torch.arange(columns).view(1, -1) * cell
    y = y + torch.randint(cell, (rows, columns), generator=generator)
    x = x + torch.randint(cell, (rows, columns), generator=generator)
    return (y * width + x).flatten().sort().values


@pytest.fixture
def make_payload() -> Callable[..., Payload]:
    def make(
        height: int = 96,
        width: int = 130,
        *,
        cell: int = 8,
        index: Tensor | None = None,
        steps: Steps | None = None,
        camera: Camera = CAMERA,
    ) -> Payload:
        raw = photograph(height, width)
        if index is None:
            index = jittered_index(height, width, cell)
        return Payload(
            Samples.at(index, raw, cell),
            camera,
            Binding.of(rendered(height, width), b"s" * 32),
            steps or Steps(),
            demosaic="bilinear",
            sampler="superpixel",
        )

    return make


@pytest.fixture
def finished() -> Callable[[Payload], Tensor]:
    """The picture that a made payload is bound to."""
    return lambda payload: rendered(payload.samples.height, payload.samples.width)


@pytest.fixture
def assert_same() -> Callable[[Payload, Payload], None]:
    """Compares a decoded payload with the one that was encoded, after quantization."""

    def check(decoded: Payload, encoded: Payload) -> None:
        for name in ("height", "width", "cell"):
            assert getattr(decoded.samples, name) == getattr(encoded.samples, name)
        assert torch.equal(decoded.samples.index, encoded.samples.index)
        assert torch.equal(decoded.samples.value, quantize(encoded.samples.value, encoded.steps))
        for name in ("camera", "binding", "steps", "demosaic", "sampler"):
            assert getattr(decoded, name) == getattr(encoded, name)

    return check


@pytest.fixture
def assert_read() -> Callable[[dict[str, Any], Payload], None]:
    """Compares what the second reader found with the payload that was encoded."""

    def check(found: dict[str, Any], payload: Payload) -> None:
        samples, camera, binding = payload.samples, payload.camera, payload.binding
        steps, texts = payload.steps, found["texts"]
        assert found["size"] == (samples.height, samples.width, samples.cell)
        assert found["index"] == samples.index.tolist()
        assert found["values"] == steps.encode(samples.value).tolist()
        assert found["scale"] == (steps.slope, steps.levels)
        s, n = steps.slope, steps.levels
        for row, wanted in zip(found["values"], quantize(samples.value, steps), strict=True):
            exact = [v * (s * n + (64 - s) * v) / (64 * n * n) for v in row]
            assert struct.unpack("3f", struct.pack("3f", *exact)) == tuple(wanted.tolist())
        assert found["orientation"] == camera.orientation
        numbers = (*camera.black_level, camera.white_level, *camera.as_shot_neutral)
        assert found["levels"] == (*numbers, *camera.color_matrix)
        assert found["cfa"] == camera.cfa
        assert found["place"] == (camera.illuminant, *camera.crop)
        assert texts[:2] == [camera.make, camera.model]
        assert dict(zip(texts[2::2], texts[3::2], strict=True)) == camera.exif
        assert found["names"] == [payload.sampler, payload.demosaic]
        assert found["binding"] == (binding.scan, binding.pixels, binding.means)
        assert found["is_control"] == samples.control

    return check


@pytest.fixture
def picture() -> Callable[..., Tensor]:
    return photograph

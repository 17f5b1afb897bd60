"""A photograph's raw, and its rendering by a camera with everything that changes tones."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from isp_meta import Camera, Frame, io, presets
from isp_meta.data import sample_path


class Scene(NamedTuple):
    raw: Tensor  # (3, 448, 640)
    shown: Tensor  # (3, 448, 640) uint8, as decoded from a JPEG
    camera: Camera


def compressed(srgb: Tensor, quality: int = 90) -> Tensor:
    return io.decode_image(io.encode_jpeg(srgb, quality=quality, subsampling="4:2:0"), "scene")


@pytest.fixture(scope="session")
def scene() -> Scene:
    frame = io.read_raw(sample_path())
    part = frame.replace(codes=frame.codes[:, 96:544, 128:768])
    with torch.no_grad():
        rendered: Frame = presets.camera()(part, keep=("raw", "srgb"))
    raw, srgb = rendered.require("raw", "scene"), rendered.require("srgb", "scene")
    return Scene(raw.clamp(0, 1), compressed(srgb), part.camera)


class Warp:
    """Pictures sampled at other places."""

    @staticmethod
    def from_middle(shown: Tensor) -> Tensor:
        """(H, W, 2) x, y of every pixel, from the middle of the picture."""
        y, x = (torch.arange(side) - (side - 1) / 2 for side in shown.shape[1:])
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)

    @staticmethod
    def apply(shown: Tensor, place: Tensor) -> Tensor:
        """The picture sampled at (H, W, 2) x, y in pixels from its middle."""
        size = torch.tensor([shown.shape[2], shown.shape[1]])
        grid = (2 * place / (size - 1))[None]
        found = functional.grid_sample(
            shown[None].float(), grid, mode="bicubic", padding_mode="border", align_corners=True
        )
        return found[0].round().clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="session")
def warp() -> type[Warp]:
    return Warp

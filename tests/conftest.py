"""Pictures that more than one folder of tests needs."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
import torch

from isp_meta import Camera, Embedded, Frame, embed
from isp_meta.data import sample_path

FrameMaker = Callable[..., Frame]

# A shell starts what runs in the background with interruptions ignored, which would be inherited by
# the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def make_frame() -> FrameMaker:
    def make(height: int = 96, width: int = 128, *, seed: int = 0, **camera: object) -> Frame:
        """A mosaic of 12 bits that looks like a photograph: shading, edges, noise."""
        generator = torch.Generator().manual_seed(seed)
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        light = 0.35 + 0.25 * torch.sin(x / 23 + seed) * torch.cos(y / 17 - seed)
        light = light + 0.2 * ((x // 31 + y // 27) % 2) + x / (8 * width)
        noise = 0.004 * torch.randn((1, height, width), generator=generator)
        codes = 64 + (light + noise).clamp(0, 1) * (4095 - 64)
        known = {
            "make": "Maker",
            "model": "Model",
            "black_level": (64.0,) * 4,
            "white_level": 4095.0,
            "as_shot_neutral": (0.5, 1.0, 0.625),
        }
        return Frame(camera=Camera(**{**known, **camera}), codes=codes.round())

    return make


@pytest.fixture(scope="session")
def embedded_sample(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """The sample raw file, embedded as ``isp-meta embed`` does by default; not to be changed."""
    return embed(sample_path(), tmp_path_factory.mktemp("sample") / "sample.jpg")

"""Pictures that more than one folder of tests needs."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hard_frames import CASES
from numpy.typing import NDArray

from isp_meta import Camera, CaptureOptions, Embedded, Frame, Pipeline, embed, io
from isp_meta.capture.options import declared
from isp_meta.data import sample_path
from isp_meta.stages import BlackLevel, Demosaic, Gamma, WhiteBalance

FrameMaker = Callable[..., Frame]

# A shell starts what runs in the background with interruptions ignored, which would be inherited by
# the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def make_frame() -> FrameMaker:
    def make(height: int = 96, width: int = 128, *, seed: int = 0, **camera: object) -> Frame:
        """Codes of 12 bits that look like a photograph: shading, edges, noise."""
        channels = 3 if camera.get("cfa") == "RGB" else 1
        generator = torch.Generator().manual_seed(seed)
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        light = 0.35 + 0.25 * torch.sin(x / 23 + seed) * torch.cos(y / 17 - seed)
        light = light + 0.2 * ((x // 31 + y // 27) % 2) + x / (8 * width)
        noise = 0.004 * torch.randn((channels, height, width), generator=generator)
        codes = 64 + (light + noise).clamp(0, 1) * (4095 - 64)
        known = {
            "make": "Maker",
            "model": "Model",
            "black_level": (64.0,),
            "white_level": 4095.0,
            "as_shot_neutral": (0.5, 1.0, 0.625),
        }
        return Frame(camera=Camera(**{**known, **camera}), codes=codes.round())

    return make


@pytest.fixture(scope="session")
def embedded_sample(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """The sample raw file, embedded as ``isp-meta embed`` does by default; not to be changed."""
    return embed(sample_path(), tmp_path_factory.mktemp("sample") / "sample.jpg")


@pytest.fixture(scope="session")
def changed_options() -> dict[str, CaptureOptions]:
    """For each option of a capture, by name, options in which it alone has not its default."""
    changed = {}
    for option in declared():
        values = option.choices or (option.kind(1), option.kind(option.low))
        other = next(value for value in values if value != option.default)
        changed[option.name] = CaptureOptions(**{option.name: other})
    return changed


@pytest.fixture(scope="session")
def scene(make_frame) -> Frame:
    """A picture of 48x64 with raw and srgb; not to be changed."""
    pipeline = Pipeline([BlackLevel(), Demosaic(), WhiteBalance(), Gamma()])
    return pipeline(make_frame(48, 64), keep=("raw", "srgb"))


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def hard_frame(request: pytest.FixtureRequest) -> Frame:
    """Frames on which an interpolation may stumble."""
    return request.param


@pytest.fixture(scope="session")
def deep() -> torch.Tensor:
    """(3, 72, 88) int32, 0 to 65535: shading, edges, noise."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(72.0), torch.arange(88.0), indexing="ij")
    light = 0.45 + 0.3 * torch.sin(x / 23) * torch.cos(y / 17) + 0.15 * ((x // 31 + y // 27) % 2)
    color = light * torch.tensor([1.0, 0.8, 0.6])[:, None, None]
    noise = 0.004 * torch.randn((3, 72, 88), generator=generator)
    return ((color + noise).clamp(0, 1) * 65535).round().to(torch.int32)


@pytest.fixture(scope="session")
def photo(deep: torch.Tensor) -> torch.Tensor:
    """The same in eight bits, uint8."""
    return (deep >> 8).to(torch.uint8)


@pytest.fixture(scope="session")
def files(
    deep: torch.Tensor, photo: torch.Tensor, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of photo.png (8 bits), deep.png and deep.tif (16 bits)."""
    folder = tmp_path_factory.mktemp("pictures")
    shallow, whole = io.display_values(photo), io.display_values(deep)
    (folder / "photo.png").write_bytes(io.encode_png(shallow))
    (folder / "deep.png").write_bytes(io.encode_png(whole, bits=16))
    (folder / "deep.tif").write_bytes(io.encode_tiff(whole, bits=16))
    return folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each picture was decoded, by its file's name."""
    counts, decode = Counter[str](), io.decode_pixels

    def counted(data: bytes, name: str, **options: bool) -> NDArray[Any]:
        counts[Path(name).name] += 1
        return decode(data, name, **options)

    monkeypatch.setattr(io, "decode_pixels", counted)
    return counts

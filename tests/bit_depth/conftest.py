"""A picture of sixteen bits that looks like a photograph, and files of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from isp_meta import io


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

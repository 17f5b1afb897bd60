from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from isp_meta.codec import Binding
from isp_meta.codec.binding import TOLERANCE, blocks

SCAN, OTHER_SCAN = b"a" * 32, b"b" * 32


@pytest.fixture
def pixels(picture):
    return (picture(300, 420).sqrt() * 255).round().to(torch.uint8)


def recompress(pixels: torch.Tensor, quality: int) -> torch.Tensor:
    file = io.BytesIO()
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    image.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


def test_means_are_those_of_the_blocks():
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (3, 150, 200), generator=generator).to(torch.uint8)
    means = Binding.of(pixels, SCAN).means
    weights = torch.tensor([77, 150, 29]).view(3, 1, 1) / 256
    luma = (pixels.double() * weights).sum(0)
    tops, lefts = (0, 64, 150), (0, 64, 128, 200)
    expected = [
        round(float(luma[top:bottom, left:right].mean()))
        for top, bottom in itertools.pairwise(tops)
        for left, right in itertools.pairwise(lefts)
    ]
    assert list(means) == expected


@pytest.mark.parametrize(("side", "count"), [(1, 1), (63, 1), (64, 1), (127, 1), (128, 2)])
def test_blocks_along_a_side(side, count):
    assert blocks(side) == count


def test_same_pixels_or_same_scan_are_exact(pixels):
    binding = Binding.of(pixels, SCAN)
    assert binding.compare(pixels, OTHER_SCAN) == "exact"
    assert binding.compare(torch.zeros_like(pixels), SCAN) == "exact"


@pytest.mark.parametrize("quality", range(50, 100, 5))
def test_recompression_is_recognised(quality, pixels):
    binding = Binding.of(pixels, SCAN)
    assert binding.compare(recompress(pixels, quality), OTHER_SCAN) == "recompressed"


def test_retouched_part_is_an_edit(pixels):
    binding = Binding.of(pixels, SCAN)
    edited = pixels.clone()
    edited[:, 100:180, 50:150] = 255 - edited[:, 100:180, 50:150]
    assert binding.compare(edited, OTHER_SCAN) == "edited"


def test_other_pictures_are_foreign(pixels, picture):
    binding = Binding.of(pixels, SCAN)
    assert binding.compare(pixels[:, :, 1:], OTHER_SCAN) == "foreign"
    assert binding.compare(pixels.flip(2), OTHER_SCAN) == "foreign"
    assert binding.compare(255 - pixels, OTHER_SCAN) == "foreign"
    assert binding.compare(pixels.mT, OTHER_SCAN) == "foreign"


def test_tolerance_is_a_limit_not_a_guess():
    grey = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    binding = Binding.of(grey, SCAN)
    assert binding.compare(grey + TOLERANCE, OTHER_SCAN) == "recompressed"
    assert binding.compare(grey + TOLERANCE + 1, OTHER_SCAN) == "foreign"


def test_layout_in_memory_does_not_matter(pixels):
    interleaved = pixels.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert Binding.of(interleaved, SCAN) == Binding.of(pixels.contiguous(), SCAN)


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(3, 8, 8), torch.zeros((1, 8, 8), dtype=torch.uint8)],
)
def test_wrong_pixels_are_refused(wrong, pixels):
    with pytest.raises(ValueError, match="uint8"):
        Binding.of(wrong, SCAN)
    with pytest.raises(ValueError, match="uint8"):
        Binding.of(pixels, SCAN).compare(wrong, SCAN)


def test_wrong_digest_is_refused(pixels):
    with pytest.raises(ValueError, match="32 bytes"):
        Binding.of(pixels, b"short")

"""What JPEG leaves of a picture, for a network to learn with or as libjpeg does it."""

from __future__ import annotations

import math
from io import BytesIO
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..frame import Frame
from ..stage import Range, Stage
from .rows import in_bands, mixed, row_bands

__all__ = ["Jpeg", "JpegMode", "Subsampling", "jpeg"]

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
JpegMode = Literal["differentiable", "exact"]

# For each subsampling how many (rows, columns) share a chroma sample; Pillow numbers them so.
_FACTORS = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}
_QUALITY = Range(1, 100)

# Of which every band's first row is a multiple: many blocks of 16, so that halos are little.
_ROWS = 64

# Tables K.1 and K.2 of ITU-T T.81, for quality 50.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)


def jpeg(
    srgb: Tensor,
    quality: Tensor | float = 95.0,
    subsampling: Subsampling = "4:4:4",
    mode: JpegMode = "differentiable",
) -> Tensor:
    """Encodes and decodes a picture.

        differentiable:  YCbCr, 8x8 DCT, divide by the quantization table, round, and back;
                         round(x) + (x - round(x))^3 in place of round(x)
        exact:           through libjpeg in memory; the gradient goes straight through

    The differentiable mode pads, averages and interpolates chroma as libjpeg does, but rounds
    neither YCbCr nor the result to whole levels, and its rounding keeps a little of what rounding
    loses: below quality 100 the result is up to 1.4 dB nearer to the picture than libjpeg's, and at
    100, where little is lost, about 5 dB. Its quantization tables are libjpeg's at whole qualities;
    their gradient is that of the tables before they are rounded.
    It traces under torch.compile and torch.export. The exact mode, which leaves PyTorch, does not.

    Args:
        srgb: (..., 3, H, W) in [0, 1], float32 or float64, any size from 1x1; exact mode clips and
            rounds it to 8 bits first, and takes sides up to 65500.
        quality: 1 to 100; exact mode rounds it to a whole number.
        subsampling: of chroma.
        mode: "differentiable" or "exact".

    Returns:
        (..., 3, H, W) in [0, 1]; in exact mode multiples of 1/255.

    Raises:
        TypeError: srgb is not floating point. ValueError: an argument does not fit, or exact mode
            is traced, or asked for a gradient to ``quality``.

    Source: ITU-T T.81, Annexes A and K; ITU-T T.871 (JFIF); Shin & Song, "JPEG-resistant
    adversarial images", 2017, for the rounding.
    """
    if not srgb.is_floating_point():
        raise TypeError(f"srgb must be floating point, not {srgb.dtype}")
    if srgb.dim() < 3 or srgb.shape[-3] != 3 or 0 in srgb.shape:
        raise ValueError(f"srgb must be (..., 3, H, W), not {tuple(srgb.shape)}")
    _check(subsampling, mode)
    pictures = srgb.flatten(0, -4) if srgb.dim() > 3 else srgb[None]
    if mode == "differentiable":
        quality = torch.as_tensor(quality).to(srgb)
        return _by_bands(pictures, quality, _FACTORS[subsampling]).view(srgb.shape)
    if torch.compiler.is_compiling():
        raise ValueError(
            "Jpeg: libjpeg is no part of a graph of tensors; mode='differentiable' is one"
        )
    if isinstance(quality, Tensor) and quality.requires_grad:
        raise ValueError("exact mode has no gradient to quality; use mode='differentiable'")
    whole = round(float(quality))
    coded = torch.stack([_through_libjpeg(p, whole, subsampling) for p in pictures.detach()])
    coded = coded.view(srgb.shape)
    return coded + (srgb - srgb.detach()) if srgb.requires_grad else coded


def _check(subsampling: str, mode: str) -> None:
    if subsampling not in _FACTORS:
        raise ValueError(f"subsampling must be one of {', '.join(_FACTORS)}, not {subsampling!r}")
    if mode not in get_args(JpegMode):
        raise ValueError(f"mode must be 'differentiable' or 'exact', not {mode!r}")


def _through_libjpeg(srgb: Tensor, quality: int, subsampling: str) -> Tensor:
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality}")
    if max(srgb.shape[1:]) > 65500:
        raise ValueError(f"a JPEG's sides have at most 65500 pixels, not {tuple(srgb.shape[1:])}")
    codes = srgb.clamp(0, 1).mul_(255).round_().to(torch.uint8).cpu().movedim(0, -1)
    buffer = BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(codes.numpy()))
    picture.save(buffer, "JPEG", quality=quality, subsampling=list(_FACTORS).index(subsampling))
    with Image.open(buffer) as decoded:
        pixels = torch.from_numpy(np.array(decoded))
    return pixels.movedim(-1, 0).to(srgb).div_(255)


def _by_bands(srgb: Tensor, quality: Tensor, factors: tuple[int, int]) -> Tensor:
    # Chroma is interpolated from one block row to the next where rows share it.
    halo = 8 * factors[0] if factors[0] > 1 else 0
    height = srgb.shape[-2]

    def coded(top: int, bottom: int) -> Tensor:
        first, last = max(top - halo, 0), min(bottom + halo, height)
        band = _approximate(srgb[..., first:last, :], quality, factors)
        return band[..., top - first : bottom - first, :]

    return in_bands(coded, srgb, row_bands(srgb, quality, multiple=_ROWS))


def _approximate(srgb: Tensor, quality: Tensor, factors: tuple[int, int]) -> Tensor:
    height, width = srgb.shape[-2:]
    down, across = factors
    luma_table, chroma_table = _tables(quality)
    red, green, blue = (srgb[:, [channel]] * 255 for channel in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.cat([(blue - luma) / 1.772, (red - luma) / 1.402], 1)
    luma = _code(_pad(luma - 128, 8, 8), luma_table)[..., :height, :width] + 128
    # libjpeg repeats the last column before it averages, but the last row of averages after.
    chroma = functional.avg_pool2d(_pad(chroma, down, 8 * across), factors)
    chroma = _code(_pad(chroma, 8, 8), chroma_table)
    chroma = chroma[..., : -(-height // down), : -(-width // across)]
    if factors != (1, 1):
        scale = float(down), float(across)
        chroma = functional.interpolate(chroma, scale_factor=scale, mode="bilinear")
    blue_difference, red_difference = torch.split(chroma[..., :height, :width], 1, 1)
    red, blue = luma + 1.402 * red_difference, luma + 1.772 * blue_difference
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return (torch.cat([red, green, blue], 1) / 255).clamp(0, 1)


def _tables(quality: Tensor) -> Tensor:
    """(2, 8, 8) quantization steps for luma and chroma, as libjpeg scales them."""
    base = torch.tensor([_LUMA, _CHROMA], dtype=quality.dtype, device=quality.device)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    steps = (base * percent / 100).clamp(1, 255)
    whole = ((base * percent.floor() + 50) / 100).floor().clamp(1, 255)
    return whole.detach() + (steps - steps.detach())


def _pad(planes: Tensor, rows: int, columns: int) -> Tensor:
    """Repeats the last row and column up to multiples."""
    height, width = planes.shape[-2:]
    return functional.pad(planes, (0, -width % columns, 0, -height % rows), mode="replicate")


def _code(planes: Tensor, table: Tensor) -> Tensor:
    """Quantizes the 8x8 DCT of (B, C, H, W), sides multiples of 8."""
    frequency = torch.arange(8, dtype=planes.dtype, device=planes.device)
    cosines = torch.cos(frequency[:, None] * (2 * frequency + 1) * (math.pi / 16)) / 2
    cosines = torch.cat([cosines[:1] / math.sqrt(2), cosines[1:]])
    transform = torch.kron(cosines, cosines)
    blocks = torch.unflatten(functional.pixel_unshuffle(planes, 8), 1, (planes.shape[1], 64))
    steps = table.reshape(64, 1, 1)
    coefficients = mixed(blocks, transform) / steps
    whole = coefficients.detach().round()
    coded = (whole + (coefficients - whole) ** 3) * steps
    blocks = mixed(coded, transform.T)
    return functional.pixel_shuffle(blocks.flatten(1, 2), 8)


class Jpeg(Stage):
    """Replaces srgb by what JPEG leaves of it; see :func:`jpeg`.

    Args:
        quality: 1 to 100, an ``nn.Parameter`` is learned.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        mode: "differentiable" or "exact".

    Raises:
        ValueError: an argument out of range.
    """

    needs = frozenset({"srgb"})
    gives = frozenset({"srgb"})
    ranges: ClassVar[dict[str, Range]] = {"quality": _QUALITY}
    quality: Tensor

    def __init__(
        self,
        quality: Tensor | float = 95.0,
        subsampling: Subsampling = "4:4:4",
        mode: JpegMode = "differentiable",
    ) -> None:
        super().__init__()
        _check(subsampling, mode)
        self.hold("quality", quality)
        self.subsampling: Subsampling = subsampling
        self.mode: JpegMode = mode

    @property
    def tensors_alone(self) -> bool:
        """Whether it is not libjpeg."""
        return self.mode == "differentiable"

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``srgb``."""
        srgb = frame.require("srgb", by="Jpeg")
        return frame.replace(srgb=jpeg(srgb, self.quality, self.subsampling, self.mode))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        quality = round(self.quality.item(), 2)
        return f"quality={quality:g}, subsampling={self.subsampling!r}, mode={self.mode!r}"

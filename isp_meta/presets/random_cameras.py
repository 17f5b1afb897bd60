"""Randomly generated cameras, to train on: a different plausible one at each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ..camera import BAYER_PATTERNS, Camera
from ..colorimetry import xy_of_temperature, xy_to_xyz
from ..io import known_camera
from ..pipeline import Pipeline, stacked
from ..stage import Stage
from ..stages import (
    BlackLevel,
    ColorMatrix,
    Demosaic,
    Exposure,
    Gamma,
    HighlightCompression,
    HighlightReconstruction,
    Jpeg,
    LocalToneMapping,
    NoiseReduction,
    Quantize,
    Saturation,
    Sharpening,
    ToneCurve,
    WhiteBalance,
    camera_to_srgb,
    filmic,
)
from ..stages.jpeg import JpegMode

__all__ = ["KNOWN_CAMERAS", "camera_between", "random", "random_camera"]

_Option = TypeVar("_Option")

# Makes and models whose color matrices LibRaw publishes: phones have none there. Fifteen years,
# twelve makers, CCD and CMOS, from compacts to medium format.
KNOWN_CAMERAS: tuple[tuple[str, str], ...] = tuple(
    (make, model)
    for make, models in {
        "Canon": (
            "EOS 5D Mark II,EOS 5D Mark III,EOS 5D Mark IV,EOS 6D,EOS 7D,EOS 80D,EOS 600D,"
            "EOS-1Ds Mark III,EOS R5,EOS M50,PowerShot G7 X"
        ),
        "Nikon": "D40,D700,D810,D850,D5200,D7000,Z 6,Z 9",
        "Sony": "SLT-A57,ILCE-7M3,ILCE-7RM4,ILCE-6000,DSC-RX100",
        "Olympus": "E-PL6,E-M1,E-M10",
        "Panasonic": "DMC-GX1,DMC-GH4,DC-S1",
        "Samsung": "NX2000,NX1,EX2F",
        "Fujifilm": "X100,GFX 50S,FinePix S5Pro",
        "Pentax": "K-5,K-1",
        "Ricoh": "GR,GR III",
        "Leica": "M9,Q2,D-LUX (Typ 109)",
        "Phase One": "P 45",
        "Kodak": "DCS Pro 14N",
        "Minolta": "DiMAGE A2",
        "Epson": "R-D1",
    }.items()
    for model in models.split(",")
)

# Mired, which human eyes and cameras' presets step evenly in: 2,700 K lamps to 9,000 K shade.
_MIRED = (110.0, 370.0)
_TINT_SPREAD = 10.0


def _uniform(low: float, high: float, generator: torch.Generator | None) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _normal(spread: float, generator: torch.Generator | None) -> float:
    return spread * float(torch.randn((), generator=generator))


def _choice(options: Sequence[_Option], generator: torch.Generator | None) -> _Option:
    return options[int(torch.randint(len(options), (), generator=generator))]


def _random_matrix(generator: torch.Generator | None) -> Tensor:
    """(3, 3) float64 ColorMatrix, somewhere between those of two known cameras."""
    first, second = (
        torch.tensor(known_camera(*_choice(KNOWN_CAMERAS, generator)).color_matrix).double()
        for _ in range(2)
    )
    return torch.lerp(first, second, _uniform(0, 1, generator)).view(3, 3)


def random_camera(generator: torch.Generator | None = None) -> Camera:
    """A plausible sensor under a plausible light.

    Its color matrix lies somewhere between those of two known cameras (:data:`KNOWN_CAMERAS`), its
    neutral is what that matrix makes of light of 2,700 to 9,000 K with some tint; pattern, depth
    and levels are random.

    Args:
        generator: None: torch's own. The same state gives the same camera.

    Source: Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019, section 3.2,
    for mixing the color matrices of real cameras.
    """
    matrix = _random_matrix(generator)
    kelvin = 1e6 / _uniform(*_MIRED, generator)
    xy = xy_of_temperature(*torch.tensor([kelvin, _normal(_TINT_SPREAD, generator)]).double())
    neutral = matrix @ xy_to_xyz(xy)
    bits = _choice((10, 12, 14), generator)
    black = float(_choice((0, 16, 64), generator) * 2 ** (bits - 10))
    return Camera(
        make="isp_meta",
        model="random",
        cfa=_choice(BAYER_PATTERNS, generator),
        black_level=(black,),
        white_level=2.0**bits - 1,
        as_shot_neutral=tuple((neutral / neutral[1]).tolist()),
        color_matrix=tuple(matrix.flatten().tolist()),
    )


def camera_between(cameras: Sequence[Camera], generator: torch.Generator | None = None) -> Camera:
    """The sensor of some pictures under a light like theirs.

    Color matrix and neutral lie somewhere between those of two of the cameras, drawn at random; all
    else is the first one's.

    Args:
        cameras: of pictures that one sensor took, at least one.
        generator: None: torch's own. The same state gives the same camera.
    """
    first, second = _choice(cameras, generator), _choice(cameras, generator)
    share = _uniform(0, 1, generator)

    def between(one: Sequence[float], other: Sequence[float]) -> tuple[float, ...]:
        start, end = (torch.tensor(values, dtype=torch.float64) for values in (one, other))
        return tuple(torch.lerp(start, end, share).tolist())

    return first.replace(
        as_shot_neutral=between(first.as_shot_neutral, second.as_shot_neutral),
        color_matrix=between(first.color_matrix, second.color_matrix),
    )


def random(
    generator: torch.Generator | None = None,
    pictures: int | None = None,
    jpeg: JpegMode = "exact",
) -> Pipeline:
    """A camera of its own taste at every call, from ``codes`` to ``srgb``, to train on.

    Demosaicing, color matrix, exposure, local and global tone, saturation, sharpening and JPEG vary
    within what cameras do; white balance is that of the frame's camera. For pictures that never
    were a mosaic, ``random(generator).since("WhiteBalance")`` starts at ``raw``.

    Args:
        generator: None: torch's own. The same state gives the same camera.
        pictures: of a batch, each of which gets a camera of its own, in one call
            (:func:`isp_meta.pipeline.stacked`): those that as many calls would give. None: one
            camera, for whatever goes in.
        jpeg: "exact" for libjpeg, one picture after the other on the CPU; "differentiable" is
            tensors alone: batched, on any device, and may be compiled.
    """
    if pictures is not None:
        return stacked(random(generator, jpeg=jpeg) for _ in range(pictures))
    highlights: list[Stage] = [HighlightReconstruction()] if _chance(0.5, generator) else []
    quiet: list[Stage] = []
    if _chance(0.3, generator):
        luma = _uniform(0, 0.01, generator)
        quiet = [NoiseReduction(luma, luma + _uniform(0, 0.02, generator))]
    local: list[Stage] = []
    if _chance(0.6, generator):
        strength, detail = _uniform(0.1, 0.7, generator), _uniform(0.9, 1.4, generator)
        local = [LocalToneMapping(strength, detail)]
    sharp: list[Stage] = []
    if _chance(0.6, generator):
        sharp = [Sharpening(_uniform(0.2, 1.5, generator), _uniform(0.5, 1.2, generator))]
    return Pipeline(
        [
            BlackLevel(),
            Demosaic(_choice(("bilinear", "malvar", "menon"), generator)),
            WhiteBalance(clip=not highlights),
            *highlights,
            ColorMatrix(camera_to_srgb(_random_matrix(generator).flatten().tolist()), clip=False),
            Exposure(_uniform(-0.5, 1.0, generator), clip=False),
            *quiet,
            *local,
            HighlightCompression(_uniform(0.4, 0.9, generator)),
            ToneCurve(_random_tones(generator)),
            Saturation(_uniform(0.8, 1.3, generator), space="srgb"),
            Gamma(),
            *sharp,
            *_random_jpeg(generator, jpeg),
            Quantize(8),
        ]
    )


def _chance(probability: float, generator: torch.Generator | None) -> bool:
    return _uniform(0, 1, generator) < probability


def _random_tones(generator: torch.Generator | None) -> Tensor:
    """(257,) heights: between a straight line and a film-like curve, with bends of its own."""
    light = torch.linspace(0, 1, 257, dtype=torch.float64)
    film = filmic(light, 2 ** _uniform(-1.5, 1.5, generator))
    curve = torch.lerp(light, film, _uniform(0, 1, generator))
    # A few slow waves in the logarithm of the slope leave the curve rising.
    waves = sum(
        _normal(0.25 / n, generator) * torch.cos(torch.pi * n * light.sqrt()) for n in (1, 2, 3)
    )
    slope = curve.diff() * torch.as_tensor(waves).exp()[1:]
    heights = torch.cat([light[:1], slope.cumsum(0)])
    return (heights / heights[-1]).float()


def _random_jpeg(generator: torch.Generator | None, mode: JpegMode) -> list[Stage]:
    """Seven pictures in ten: what a JPEG of quality 75 to 100 loses."""
    if not _chance(0.7, generator):
        return []
    quality = float(torch.randint(75, 101, (), generator=generator))
    return [Jpeg(quality, _choice(("4:4:4", "4:2:2", "4:2:0"), generator), mode)]

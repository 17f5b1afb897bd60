"""What is measured of one picture that was rebuilt."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..frame import Frame
from ..metrics import psnr, ssim
from .compare import unclipped_pixels

__all__ = ["Fidelity", "measure", "sixteen_bits"]

_TOP = 65535.0


def sixteen_bits(raw: Tensor) -> Tensor:
    """The 16-bit codes that the paper's figures are taken on, over [0, 1] again.

        floor(65535 x) / 65535

    Args:
        raw: any shape, in [0, 1].

    Source: the published code of Nam et al., CVPR 2022, which takes PSNR of these codes against a
    peak of 65535, over all pixels and channels, and SSIM with a data range of 65535.
    """
    codes: Tensor = (raw * _TOP).floor_()
    return codes.div_(_TOP)


@dataclass(frozen=True)
class Fidelity:
    """How near a rebuilt picture comes to the true one; of 16-bit codes (:func:`sixteen_bits`).

    Attributes:
        psnr: dB over all pixels and channels. psnr_unclipped: over the pixels that no rendering
            needs to clip, see :class:`isp_meta.comparison.Comparison`.
        ssim: mean structural similarity.
        unclipped: share of the pixels that ``psnr_unclipped`` is over.
    """

    psnr: float
    psnr_unclipped: float
    ssim: float
    unclipped: float


def measure(estimate: Tensor, scene: Frame) -> Fidelity:
    """Measures a rebuilt picture.

    Args:
        estimate: (3, H, W) raw in [0, 1].
        scene: with the true ``raw`` and its ``camera``.
    """
    raw: Tensor = scene.require("raw", "measure")
    got, true = sixteen_bits(estimate), sixteen_bits(raw)
    unclipped = unclipped_pixels(raw, scene.camera)
    return Fidelity(
        psnr(got, true),
        psnr(got, true, unclipped),
        ssim(got, true),
        float(unclipped.float().mean()),
    )

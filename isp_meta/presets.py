"""Whole cameras, ready to use."""

from __future__ import annotations

from .pipeline import Pipeline
from .stages import (
    BlackLevel,
    ColorMatrix,
    Demosaic,
    Gamma,
    Quantize,
    ToneCurve,
    WhiteBalance,
)

__all__ = ["minimal"]


def minimal() -> Pipeline:
    """The shortest camera that makes a picture to look at: every stage global and pointwise.

    Levels, Malvar's demosaic, as-shot white balance, camera color to sRGB, a film-like tone curve,
    the sRGB transfer function, 8 bits. Needs ``codes``, gives ``mosaic``, ``raw``, ``rgb`` and
    ``srgb``; all calibration is the frame's own camera's.
    """
    return Pipeline(
        [
            BlackLevel(),
            Demosaic("malvar"),
            WhiteBalance(),
            ColorMatrix(),
            ToneCurve.filmic(),
            Gamma(),
            Quantize(8),
        ]
    )

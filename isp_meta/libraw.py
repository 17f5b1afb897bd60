"""LibRaw's demosaicing as a stage of a pipeline."""

from __future__ import annotations

from typing import get_args

import torch

from .frame import Frame
from .io.libraw_demosaic import LibRawAlgorithm, libraw_demosaic
from .stage import Stage

__all__ = ["LibRawDemosaic"]


class LibRawDemosaic(Stage):
    """Mosaic to raw by LibRaw, for comparison; see :mod:`isp_meta.io.libraw_demosaic`.

    Each picture goes through LibRaw in 16 bits on the CPU: no gradient, no tracing, no side below
    22 pixels.

    Args:
        algorithm: LINEAR, VNG, PPG, AHD, DCB, DHT or AAHD.

    Raises:
        ValueError: another algorithm; or, when it runs, a mosaic that asks for a gradient.
    """

    needs = frozenset({"mosaic"})
    gives = frozenset({"raw"})

    def __init__(self, algorithm: LibRawAlgorithm = "AHD") -> None:
        super().__init__()
        if algorithm not in get_args(LibRawAlgorithm):
            known = ", ".join(get_args(LibRawAlgorithm))
            raise ValueError(f"algorithm must be one of {known}, not {algorithm!r}")
        self.algorithm: LibRawAlgorithm = algorithm

    def forward(self, frame: Frame) -> Frame:
        """Fills ``raw``."""
        mosaic = frame.require("mosaic", by="LibRawDemosaic")
        if mosaic.requires_grad:
            raise ValueError("LibRawDemosaic has no gradient; use Demosaic, or mosaic.detach()")
        pictures = mosaic.reshape(-1, *mosaic.shape[-3:])
        raw = torch.stack([libraw_demosaic(p, frame.camera, self.algorithm) for p in pictures])
        return frame.replace(raw=raw.view(*mosaic.shape[:-3], *raw.shape[-3:]))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"algorithm={self.algorithm!r}"

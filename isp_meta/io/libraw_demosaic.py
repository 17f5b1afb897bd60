"""LibRaw's demosaicing, to compare one's own with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import rawpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..camera import Camera
from ..errors import RawFileError
from ..frame import Frame
from .dng import write_dng

__all__ = ["LibRawAlgorithm", "libraw_demosaic"]

LibRawAlgorithm = Literal["LINEAR", "VNG", "PPG", "AHD", "DCB", "DHT", "AAHD"]

_TOP = 65535
# LibRaw takes smaller pictures for thumbnails (its identify.cpp).
_SMALLEST_SIDE = 22


def libraw_demosaic(mosaic: Tensor, camera: Camera, algorithm: LibRawAlgorithm = "AHD") -> Tensor:
    """Interpolates a mosaic by LibRaw, through a DNG in a temporary folder.

    No white balance, no scaling, no color conversion: measured pixels come back within half of
    1/65535. AHD and AAHD judge the homogeneity of colors in CIELab, by the camera's color matrix.

    Args:
        mosaic: (1, H, W), any device, both sides at least 22; clipped to [0, 1] and rounded to 16
            bits.
        camera: its ``cfa`` and ``color_matrix`` are used.
        algorithm: LINEAR, VNG, PPG, AHD, DCB, DHT or AAHD.

    Returns:
        (3, H, W) in [0, 1], multiples of 1/65535, of the mosaic's dtype and device.

    Raises:
        ValueError: shape or algorithm do not fit, or the mosaic is not finite.
        RawFileError: LibRaw fails.

    Source: LibRaw, https://www.libraw.org; its dcraw_process.
    """
    if algorithm not in get_args(LibRawAlgorithm):
        known = ", ".join(get_args(LibRawAlgorithm))
        raise ValueError(f"algorithm must be one of {known}, not {algorithm!r}")
    if mosaic.dim() != 3 or mosaic.shape[0] != 1 or min(mosaic.shape[1:]) < _SMALLEST_SIDE:
        raise ValueError(
            f"mosaic must be (1, H, W), and LibRaw takes no side below {_SMALLEST_SIDE} pixels; "
            f"it is {tuple(mosaic.shape)}"
        )
    if not bool(torch.isfinite(mosaic).all()):
        raise ValueError("mosaic must be finite")
    plain = Camera(cfa=camera.cfa, color_matrix=camera.color_matrix, illuminant=camera.illuminant)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mosaic.dng")
        write_dng(path, Frame(plain, raw=mosaic.expand(3, -1, -1)), cfa=True, compress=False)
        try:
            codes = _developed(path, algorithm)
        except rawpy.LibRawError as error:
            raise RawFileError(f"LibRaw cannot demosaic by {algorithm}: {error}") from error
    return torch.from_numpy(codes.astype(np.float32)).movedim(-1, 0).to(mosaic).div_(_TOP)


def _developed(path: Path, algorithm: str) -> NDArray[np.uint16]:
    with rawpy.imread(str(path)) as raw:
        codes = raw.postprocess(
            demosaic_algorithm=rawpy.DemosaicAlgorithm[algorithm],
            output_color=rawpy.ColorSpace.raw,
            output_bps=16,
            gamma=(1, 1),
            user_wb=[1.0, 1.0, 1.0, 1.0],
            user_flip=0,
            user_black=0,
            user_sat=_TOP,
            no_auto_bright=True,
            no_auto_scale=True,
            adjust_maximum_thr=0,
        )
    return np.asarray(codes, dtype=np.uint16)

"""Recovery: a JPEG (PNG, TIFF) that carries its raw goes in, the raw comes out.

JPEG ─┬─ carriers, codec ─▶ samples, camera, binding ─┐
      └─ decoded ─▶ srgb ─────────────────────────────┴▶ Reconstructor ─▶ raw

Where the payload holds the whole mosaic, that is decoded and demosaiced instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from .. import io
from ..errors import PayloadCorrupt, PayloadMissing
from ..frame import Frame, Reconstructor
from ..reconstruct import LocalRBFReconstructor
from ..reconstruct.inputs import check_values
from ..stages import BlackLevel, Demosaic
from ..stages.demosaic import METHODS
from .metadata import Metadata, check_match, read_metadata

__all__ = ["recover"]

Progress = Callable[[str], None]


def recover(
    picture: str | os.PathLike[str] | Metadata,
    *,
    reconstructor: Reconstructor | None = None,
    device: str | torch.device = "cpu",
    force: bool = False,
    progress: Progress | None = None,
) -> Frame:
    """Rebuilds the linear raw picture of a JPEG (PNG, TIFF) that carries its raw.

    Args:
        picture: a file that :func:`isp_meta.embed` made, or one with a sidecar; or what
            :func:`isp_meta.read_metadata` read of it.
        reconstructor: default
            :meth:`isp_meta.reconstruct.LocalRBFReconstructor.shipped`. The frame that
            it gets holds the enhancement, if there is one, with the samples: it corrects what the
            default makes of them, and others leave it alone. Others need measured values, unless
            their ``takes_controls`` is true.
        device: where raw is rebuilt; the reconstructor is moved there. All else is done on the CPU.
        force: goes on where the picture was edited since; its size must still be the same.
        progress: called with the name of each step as it begins.

    Returns:
        A Frame on the CPU with ``raw`` (3, H, W) in [0, 1], ``srgb``, ``samples`` and ``camera``.
        Where the whole mosaic was kept and the picture's pixels allow to decode it, ``codes``
        (1, H, W) are the sensor's own, and ``raw`` is what black level and the demosaicing method
        named in the metadata make of them; the reconstructor is not asked then.

    Raises:
        ImageFileError, CarrierError: the picture cannot be read.
        PayloadMissing: it carries nothing, or no raw.
        PayloadCorrupt: what it carries is damaged.
        PictureMismatch: the picture is not the one that the metadata was made for.
        ValueError: it holds control values, and the reconstructor does not say that it takes them.
    """
    step = progress or (lambda _name: None)
    if not isinstance(picture, Metadata):
        step("reading")
        picture = read_metadata(picture)
    metadata = picture
    check_match(metadata, force)
    payload = metadata.payload
    samples = payload.told()
    frame = Frame(payload.camera, srgb=io.display_values(metadata.codes), samples=samples)
    if metadata.usable_mosaic is not None:
        step("decoding the mosaic")
        return _from_mosaic(frame, metadata)
    if payload.depth is not None:
        raise PayloadMissing(
            f"{metadata.source}: holds bits of a picture and no raw; "
            "isp-meta bit-depth recover puts them back"
        )
    if not len(samples):
        raise PayloadCorrupt(f"{metadata.source}: holds no samples; nothing to recover from")
    reconstructor = reconstructor or LocalRBFReconstructor.shipped()
    if not reconstructor.takes_controls:
        check_values(samples, type(reconstructor).__name__)
    step("reconstructing")
    return frame.replace(raw=reconstructor.to(device)(frame.to(device)).cpu())


@torch.no_grad()
def _from_mosaic(frame: Frame, metadata: Metadata) -> Frame:
    mosaic, method = metadata.usable_mosaic, metadata.payload.demosaic
    assert mosaic is not None
    height, width = metadata.codes.shape[1:]
    frame = frame.replace(codes=mosaic.codes(height, width, pixels=metadata.pixels))
    demosaic = Demosaic(method) if method in METHODS else Demosaic()
    frame = demosaic(BlackLevel()(frame))
    frame = frame.replace(raw=frame.require("raw", "recover").clamp(0, 1))
    # Finite levels of a forged camera can still divide by nothing, or leave float32.
    if not bool(frame.require("raw", "recover").sum().isfinite()):
        raise PayloadCorrupt(f"{metadata.source}: its black and white levels make no picture")
    return frame

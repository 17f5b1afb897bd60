"""Capture: a raw file goes in, a JPEG (PNG, TIFF) that carries its raw comes out.

    raw file ─▶ Pipeline ─┬─ srgb ─▶ JPEG ─▶ decoded again ─┐
                          └─ raw ──────────────────────────┴▶ sampler ─▶ payload ─▶ into the JPEG

The sampler sees the picture as recovery will see it: after the JPEG's losses.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import torch
from torch import Tensor
from torch.nn import functional

from . import carriers, codec, io, presets
from .errors import ImageFileError, IspMetaError, PictureMismatch, RawFileError
from .frame import Frame, Sampler
from .picture_file import PictureFile
from .pipeline import Pipeline
from .samplers import SuperpixelSampler
from .stages import Demosaic, Quantize, SampleMetadata

__all__ = ["Carrier", "Embedded", "embed"]

Carrier = Literal["app11", "com", "chunk", "tag", "sidecar"]
Progress = Callable[[str], None]

# Block means of one scene's raw and rendered picture rank alike, however the tones were mapped. On
# three photographs renderings correlated by 0.98 or more, overexposed by two stops by 0.79 or
# more; mirrored, turned and unrelated pictures by at most 0.51.
_LEAST_CORRELATION = 0.6

# Spread of block means in which there is nothing to recognise: of raw, and of 8-bit codes.
_FLAT_RAW = 1e-3
_FLAT_PIXELS = 1.0


@dataclass(frozen=True, eq=False)
class Embedded:
    """What :func:`embed` made.

    Attributes:
        path: the JPEG.
        sidecar: the file with the payload, where it lies beside the JPEG.
        frame: the picture: ``raw`` as demosaiced, ``srgb`` as decoded from the JPEG, ``samples``.
        payload_bytes: size of the metadata.
        jpeg_bytes: size of the JPEG without it.
    """

    path: Path
    sidecar: Path | None
    frame: Frame
    payload_bytes: int
    jpeg_bytes: int

    @property
    def bits_per_pixel(self) -> float:
        """Bits of metadata a pixel."""
        samples = self.frame.samples
        assert samples is not None
        return 8 * self.payload_bytes / (samples.height * samples.width)


def embed(
    raw: str | os.PathLike[str] | Frame,
    jpeg: str | os.PathLike[str],
    *,
    pipeline: Pipeline | None = None,
    sampler: Sampler | None = None,
    quality: int = 95,
    subsampling: str = "4:4:4",
    jpeg_in: str | os.PathLike[str] | None = None,
    bits: int = 14,
    carrier: Carrier | None = None,
    depth: int | None = None,
    gps: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Embedded:
    """Renders a raw file to a picture and hides the raw pixels worth keeping in it.

    Args:
        raw: a raw file, or a Frame with ``codes`` and ``camera``.
        jpeg: the JPEG to write; ``.png``, ``.tif`` and ``.tiff`` make a PNG or TIFF.
        pipeline: from ``codes`` to ``raw`` and ``srgb``; default :func:`isp_meta.presets.minimal`,
            which rounds to ``depth``. If it has a SampleMetadata stage, its samples are stored.
        sampler: default ``SuperpixelSampler()``, which keeps about 1.5 % of the pixels.
        quality, subsampling: of the JPEG that is rendered.
        jpeg_in: an existing picture of the same scene, size and pixel order to embed into, in place
            of rendering one; its compressed picture is copied, never encoded again.
        bits: depth of the stored values, 8 to 16.
        carrier: where the payload goes: in a JPEG "app11" (JUMBF) or "com" (comments), in a PNG a
            "chunk", in a TIFF a "tag", for all "sidecar" (a file beside it); None: the first.
        depth: bits of a sample in a PNG (default 8) or TIFF (default 16): 8 or 16.
        gps: copies where the raw was taken, too, into the picture's EXIF and into the payload.
        overwrite: replaces existing files.
        progress: called with the name of each step as it begins.

    Raises:
        RawFileError: the raw file cannot be read or rendered.
        ImageFileError, CarrierError: ``jpeg_in`` cannot be read.
        PictureMismatch: ``jpeg_in`` shows something else, or is mirrored or turned.
        PipelineOrderError: the pipeline lacks a field. OutputError: the JPEG cannot be written.
        ValueError: an argument out of range, two samplers, or codes that are not finite.

    Source: Nam et al., CVPR 2022, section 3; the format is docs/format.md.
    """
    step = progress or (lambda _name: None)
    if not 8 <= bits <= 16:
        raise ValueError(f"bits must be 8 to 16, not {bits}")
    target, beside = Path(jpeg), carriers.sidecar.sidecar_path(Path(jpeg))
    file = PictureFile.of(target, depth, carrier)
    sources = [] if isinstance(raw, Frame) else [raw]
    for path in [target, beside] if carrier == "sidecar" else [target]:
        io.check_target(path, overwrite=overwrite, sources=sources)
    pipeline = presets.minimal().replace(-1, Quantize(file.depth)) if pipeline is None else pipeline
    step("reading raw")
    frame = raw if isinstance(raw, Frame) else io.read_raw(raw, gps=gps)
    step("rendering")
    frame = _render(pipeline, frame, sources)
    step("making the JPEG")
    if jpeg_in is None:
        name = str(jpeg)
        data = file.encode(frame, quality, subsampling)
    else:
        name = str(jpeg_in)
        data = file.strip(io.read_bytes(jpeg_in, ImageFileError), name)
    codes = io.decode_image(data, name, deep=True)
    pixels = io.eight_bits(codes)
    raw_rgb: Tensor = frame.require("raw", "embed")
    if jpeg_in is not None:
        _check_correspondence(pixels, raw_rgb, name)
    step("choosing pixels")
    frame = frame.replace(srgb=io.display_values(codes).to(raw_rgb.dtype))
    tapped = next((m.sampler for m in pipeline.modules() if isinstance(m, SampleMetadata)), None)
    sampler = _one_sampler(tapped, sampler)
    if frame.samples is None:
        with torch.no_grad():
            frame = frame.replace(samples=sampler(frame))
    step("encoding")
    payload = codec.Payload(
        samples=frame.require("samples", "embed"),
        camera=frame.camera,
        binding=codec.Binding.of(pixels, carriers.scan_digest(data)),
        bits=bits,
        demosaic=next((s.method for s in pipeline.modules() if isinstance(s, Demosaic)), ""),
        sampler=type(sampler).__name__,
    )
    packed = codec.encode(payload)
    step("writing")
    if carrier == "sidecar":
        _write_pair(target, data, beside, packed, overwrite)
    else:
        whole = carriers.insert(data, packed, place=carrier)
        io.write_atomic(target, whole, overwrite=overwrite)
    sidecar = beside if carrier == "sidecar" else None
    return Embedded(target, sidecar, frame, len(packed), len(data))


@torch.no_grad()
def _render(pipeline: Pipeline, frame: Frame, sources: list[str | os.PathLike[str]]) -> Frame:
    """Only what is needed later, so that a large picture's intermediate steps are freed."""
    if frame.codes is not None and not bool(torch.isfinite(frame.codes).all()):
        raise ValueError("the frame's codes must be finite")
    try:
        frame = pipeline(frame, keep=("raw", "srgb", "samples"))
    except ValueError as error:
        if isinstance(error, IspMetaError) or not sources:
            raise
        # A file's calibration may be such that no stage can work with it.
        raise RawFileError(f"{sources[0]}: cannot be rendered, {error}") from error
    return frame.replace(raw=frame.require("raw", "embed").clamp(0, 1))


def _one_sampler(tapped: Sampler | None, given: Sampler | None) -> Sampler:
    if tapped is not None and given is not None:
        raise ValueError("the pipeline samples already (SampleMetadata); give no sampler then")
    return tapped or given or SuperpixelSampler()


def _check_correspondence(pixels: Tensor, raw: Tensor, name: str) -> None:
    """Refuses a picture of another size or content before a pixel of it is sampled."""
    size, wanted = tuple(pixels.shape[1:]), tuple(raw.shape[1:])
    if size != wanted:
        raise PictureMismatch(
            f"{name}: has {size[1]}x{size[0]} pixels, the raw {wanted[1]}x{wanted[0]}; "
            "embed into a JPEG of the raw's full size, not turned"
        )
    grid = (min(size[0], 32), min(size[1], 32))
    shown, true = (
        functional.adaptive_avg_pool2d(picture[None, 1:2].float(), grid).flatten()
        for picture in (pixels, raw)
    )
    if float(true.max() - true.min()) < _FLAT_RAW:
        return
    flat = float(shown.max() - shown.min()) < _FLAT_PIXELS
    ranks = torch.stack([_ranks(shown), _ranks(true)])
    correlation = 0.0 if flat else float(torch.corrcoef(ranks)[0, 1])
    if correlation < _LEAST_CORRELATION:
        raise PictureMismatch(
            f"{name}: does not show what the raw shows (rank correlation {correlation:.2f}); "
            "it is another picture, or mirrored or turned against the raw's pixels"
        )


def _ranks(values: Tensor) -> Tensor:
    """(N,) ranks of (N,) values, equal ones sharing their mean rank, as Spearman's rho needs."""
    _, place, count = torch.unique(values, return_inverse=True, return_counts=True)
    mean_rank: Tensor = count.cumsum(0) - (count - 1) / 2
    return mean_rank[place]


def _write_pair(target: Path, data: bytes, beside: Path, packed: bytes, overwrite: bool) -> None:
    """JPEG and sidecar, both or neither: the JPEG takes its name once the sidecar is written."""

    def write(file: BinaryIO) -> None:
        file.write(data)
        file.flush()
        io.write_atomic(beside, packed, overwrite=overwrite)

    io.write_atomic(target, write, overwrite=overwrite)

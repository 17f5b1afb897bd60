"""Recovery: a JPEG (PNG, TIFF) that carries its raw goes in, the raw comes out.

JPEG ─┬─ carriers, codec ─▶ samples, camera, binding ─┐
      └─ decoded ─▶ srgb ─────────────────────────────┴▶ Reconstructor ─▶ raw

Where the payload holds the whole mosaic, that is decoded and demosaiced instead.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import carriers, codec, io
from .errors import (
    CarrierError,
    ImageFileError,
    PayloadCorrupt,
    PayloadMissing,
    PictureMismatch,
)
from .frame import Frame, Reconstructor, Samples
from .networks.shipped import shipped_features
from .reconstruct import LocalRBFReconstructor, TrainableReconstructor
from .stages import BlackLevel, Demosaic
from .stages.demosaic import METHODS

__all__ = ["Metadata", "read_metadata", "recover"]

Progress = Callable[[str], None]

_MISMATCH = {
    "edited": "its pixels were edited after the metadata was made",
    "foreign": "its metadata belongs to another picture or another size of it",
}


@dataclass(frozen=True, eq=False)
class Metadata:
    """What a picture carries, and whether it is still the picture that it was made for.

    Attributes:
        payload: samples, camera, binding and names.
        match: "exact", "recompressed" (pixels changed slightly), "edited" or "foreign".
        source: the file that the payload came from: the picture, or its sidecar.
        size: of the payload, bytes.
        codes: (3, H, W) the picture: uint8, or int32 in 0 to 65535 of a file of 16 bits.
    """

    payload: codec.Payload
    match: codec.Match
    source: Path
    size: int
    codes: Tensor

    @property
    def pixels(self) -> Tensor:
        """(3, H, W) uint8, the picture."""
        return io.eight_bits(self.codes)

    @property
    def usable_mosaic(self) -> codec.Mosaic | None:
        """The whole mosaic, where there is one and these pixels allow to decode it."""
        mosaic = self.payload.mosaic
        if mosaic is None or not mosaic.guided:
            return mosaic
        return mosaic if self.payload.binding.holds(self.pixels) else None


def read_payload(
    path: str | os.PathLike[str],
    data: bytes | None = None,
    pixels: Callable[[], Tensor] | None = None,
) -> tuple[codec.Payload, bytes, Path]:
    """A picture's payload, the same as bytes, and the file that they came from.

    A sidecar serves where the picture carries nothing, or nothing whole.

    Args:
        path: the picture. data: its bytes, where they are read already.
        pixels: gives the picture in 8 bits, where the caller decodes it anyway.

    Raises:
        ImageFileError: the picture cannot be read. CarrierError: it is damaged, or of a kind that
            carries nothing.
        PayloadMissing, PayloadCorrupt: neither it nor a sidecar has a whole payload.
        PictureMismatch: values predicted from pixels that the picture does not have any more.
    """
    whole = io.read_bytes(path, ImageFileError) if data is None else data
    pixels = pixels or (lambda: io.eight_bits(io.decode_image(whole, str(path), deep=True)))
    try:
        packed = carriers.extract(whole)
        return codec.decode(packed, pixels), packed, Path(path)
    except PictureMismatch as error:
        raise PictureMismatch(f"{path}: {error}") from error
    except (CarrierError, PayloadMissing, PayloadCorrupt) as error:
        beside = carriers.sidecar.sidecar_path(Path(path))
        if os.path.isfile(beside):  # noqa: PTH113 (unlike Path's, silent on a name too long)
            return _read_sidecar(beside, pixels)
        hint = f"; there is no sidecar {beside.name} either"
        missing = isinstance(error, PayloadMissing)
        raise type(error)(f"{path}: {error}{hint if missing else ''}") from error


def _read_sidecar(beside: Path, pixels: Callable[[], Tensor]) -> tuple[codec.Payload, bytes, Path]:
    packed = io.read_bytes(beside, ImageFileError)
    try:
        return codec.decode(packed, pixels), packed, beside
    except (PayloadCorrupt, PictureMismatch) as error:
        raise type(error)(f"{beside}: {error}") from error


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
    """Reads and checks what a picture (or its sidecar) carries.

    Args:
        path: a JPEG, PNG or TIFF.

    Raises:
        ImageFileError, CarrierError: the picture cannot be read.
        PayloadMissing: it carries nothing. PayloadCorrupt: what it carries is damaged.
        PictureMismatch: its values are predicted from pixels that it does not have any more.
    """
    data = io.read_bytes(path, ImageFileError)
    codes = functools.cache(lambda: io.decode_image(data, str(path), deep=True))
    payload, packed, source = read_payload(path, data, lambda: io.eight_bits(codes()))
    match = payload.binding.compare(io.eight_bits(codes()), _scan_digest(data))
    return Metadata(payload, match, source, len(packed), codes())


def _scan_digest(data: bytes) -> bytes:
    try:
        return carriers.scan_digest(data)
    except CarrierError:
        # A structure that decoders put up with; then the pixels alone tell what it is.
        return b""


def recover(
    jpeg: str | os.PathLike[str],
    *,
    reconstructor: Reconstructor | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Frame:
    """Rebuilds the linear raw picture of a JPEG (PNG, TIFF) that carries its raw.

    Args:
        jpeg: a picture that :func:`isp_meta.embed` made, or one with a sidecar.
        reconstructor: default ``LocalRBFReconstructor`` with the features that ship; what capture
            stored decides, or each picture's samples when they are left out. An enhancement is of
            what that one makes: the results of others are not corrected.
        force: goes on where the picture was edited since; its size must still be the same.
        progress: called with the name of each step as it begins.

    Returns:
        A Frame with ``raw`` (3, H, W) in [0, 1], ``srgb``, ``samples`` and ``camera``. Where the
        whole mosaic was kept and the picture's pixels allow to decode it, ``codes`` (1, H, W) are
        the sensor's own, and ``raw`` is what black level and the demosaicing method named in the
        metadata make of them; the reconstructor is not asked then.

    Raises:
        ImageFileError, CarrierError: the JPEG cannot be read. PayloadMissing: it carries nothing.
        PayloadMissing: it carries control values for another network.
        PayloadCorrupt: what it carries is damaged.
        PictureMismatch: the picture is not the one that the metadata was made for.
    """
    step = progress or (lambda _name: None)
    step("reading")
    metadata = read_metadata(jpeg)
    check_match(metadata, jpeg, force)
    samples = metadata.payload.samples
    srgb = io.display_values(metadata.codes)
    frame = Frame(camera=metadata.payload.camera, srgb=srgb, samples=samples)
    if (mosaic := metadata.usable_mosaic) is not None:
        step("decoding the mosaic")
        codes = mosaic.codes(samples.height, samples.width, pixels=metadata.pixels)
        frame = _demosaiced(frame.replace(codes=codes), metadata.payload.demosaic)
        # Finite levels of a forged camera can still divide by nothing, or leave float32.
        if not bool(frame.require("raw", "recover").sum().isfinite()):
            raise PayloadCorrupt(f"{metadata.source}: its black and white levels make no picture")
        return frame
    if metadata.payload.depth is not None:
        raise PayloadMissing(
            f"{metadata.source}: holds bits of a picture and no raw; "
            "isp-meta bit-depth recover puts them back"
        )
    if not len(samples):
        raise PayloadCorrupt(f"{metadata.source}: holds no samples; nothing to recover from")
    if samples.made_for and not _is_made_for(samples, reconstructor):
        raise PayloadMissing(
            f"{metadata.source}: holds control values made for {samples.made_for}, and no raw; "
            "only isp_meta.recover with that reconstructor makes raw of them"
        )
    step("reconstructing")
    reconstructor = reconstructor or default_reconstructor()
    raw = reconstructor(frame)
    enhancement = metadata.payload.enhancement
    if enhancement is not None and isinstance(reconstructor, LocalRBFReconstructor):
        raw = enhanced(raw, enhancement, samples)
    return frame.replace(raw=raw)


def _is_made_for(samples: Samples, reconstructor: Reconstructor | None) -> bool:
    if not isinstance(reconstructor, TrainableReconstructor):
        return False
    return reconstructor.fingerprint() == samples.made_for


def enhanced(raw: Tensor, enhancement: codec.Enhancement, samples: Samples) -> Tensor:
    """What the default reconstructor made of some samples, corrected."""
    raw = enhancement.apply(raw)
    if not samples.control:
        raw.view(3, -1)[:, samples.index.to(raw.device)] = samples.value.T.to(raw)
    return raw


def default_reconstructor() -> LocalRBFReconstructor:
    """What rebuilds raw unless another one is named: with the features that ship."""
    return LocalRBFReconstructor(features=shipped_features())


@torch.no_grad()
def _demosaiced(frame: Frame, method: str) -> Frame:
    demosaic = Demosaic(method) if method in METHODS else Demosaic()  # type: ignore[arg-type]
    frame = demosaic(BlackLevel()(frame))
    return frame.replace(raw=frame.require("raw", "recover").clamp(0, 1))


def check_match(metadata: Metadata, path: str | os.PathLike[str], force: bool = False) -> None:
    """Refuses a picture that is not the one its metadata was made for.

    Args:
        path: of the picture, for the error's text.
        force: an edited picture passes, and another one of the same size.

    Raises:
        PictureMismatch: the picture was edited, is another one, or has another size.
    """
    if metadata.match not in _MISMATCH:
        return
    samples = metadata.payload.samples
    size, wanted = tuple(metadata.pixels.shape[1:]), (samples.height, samples.width)
    if size != wanted:
        raise PictureMismatch(
            f"{path}: has {size[1]}x{size[0]} pixels, its metadata is for "
            f"{wanted[1]}x{wanted[0]}; it was resized or cropped since"
        )
    if not force:
        raise PictureMismatch(
            f"{path}: {_MISMATCH[metadata.match]}; --force recovers what still fits"
        )

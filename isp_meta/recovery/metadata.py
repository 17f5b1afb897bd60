"""What a picture carries, read and checked against the picture itself."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import carriers, codec, io
from ..errors import (
    CarrierError,
    ImageFileError,
    PayloadCorrupt,
    PayloadMissing,
    PictureMismatch,
)
from ..lazily import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Metadata", "check_match", "read_metadata", "read_payload"]

Pixels = NDArray[np.uint8 | np.int32]

_MISMATCH = {
    "edited": "its pixels were edited after the metadata was made",
    "foreign": "its metadata belongs to another picture or another size of it",
}


@dataclass(frozen=True, eq=False)
class Metadata:
    """What a picture carries, and whether it is still the picture that it was made for.

    Attributes:
        path: the picture.
        stored: samples, camera, binding and names, of :func:`isp_meta.codec.decode_arrays`.
        match: "exact", "recompressed" (pixels changed slightly), "edited" or "foreign".
        source: the file that the payload came from: the picture, or its sidecar.
        size: of the payload, bytes. file_size: of the picture's file.
        picture: (3, H, W) array: uint8, or int32 in 0 to 65535 of a file of 16 bits.
    """

    path: Path
    stored: codec.Payload
    match: codec.Match
    source: Path
    size: int
    file_size: int
    picture: Pixels

    @cached_property
    def payload(self) -> codec.Payload:
        """What is stored, with tensors for arrays."""
        return self.stored.tensors()

    @cached_property
    def codes(self) -> Tensor:
        """(3, H, W) uint8, or int32 in 0 to 65535: the picture."""
        return torch.from_numpy(self.picture)

    @property
    def pixels(self) -> Tensor:
        """(3, H, W) uint8, the picture."""
        return io.eight_bits(self.codes)

    @property
    def bits_per_pixel(self) -> float:
        """Of the payload, for each pixel of the picture that it was made for."""
        samples = self.stored.samples
        return 8 * self.size / (samples.height * samples.width)

    @property
    def usable_mosaic(self) -> codec.Mosaic | None:
        """The whole mosaic, where there is one and these pixels allow to decode it."""
        mosaic = self.stored.mosaic
        if mosaic is None or not mosaic.guided:
            return mosaic
        return mosaic if self.stored.binding.holds(io.eight_bits(self.picture)) else None


def read_payload(
    path: str | os.PathLike[str],
    data: bytes | None = None,
    pixels: Callable[[], Pixels] | None = None,
) -> tuple[codec.Payload, bytes, Path]:
    """A picture's payload, of arrays, the same as bytes, and the file that they came from.

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
    pixels = pixels or (lambda: io.eight_bits(io.decode_pixels(whole, str(path), deep=True)))
    try:
        packed = carriers.extract(whole)
        return codec.decode_arrays(packed, pixels), packed, Path(path)
    except PictureMismatch as error:
        raise PictureMismatch(f"{path}: {error}") from error
    except (CarrierError, PayloadMissing, PayloadCorrupt) as error:
        beside = carriers.sidecar.sidecar_path(Path(path))
        if os.path.isfile(beside):  # noqa: PTH113 (unlike Path's, silent on a name too long)
            return _read_sidecar(beside, pixels)
        hint = f"; there is no sidecar {beside.name} either"
        missing = isinstance(error, PayloadMissing)
        raise type(error)(f"{path}: {error}{hint if missing else ''}") from error


def _read_sidecar(beside: Path, pixels: Callable[[], Pixels]) -> tuple[codec.Payload, bytes, Path]:
    packed = io.read_bytes(beside, ImageFileError)
    try:
        return codec.decode_arrays(packed, pixels), packed, beside
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
    codes = functools.cache(lambda: io.decode_pixels(data, str(path), deep=True))
    payload, packed, source = read_payload(path, data, lambda: io.eight_bits(codes()))
    match = payload.binding.compare(io.eight_bits(codes()), _scan_digest(data))
    return Metadata(Path(path), payload, match, source, len(packed), len(data), codes())


def _scan_digest(data: bytes) -> bytes:
    try:
        return carriers.scan_digest(data)
    except CarrierError:
        # A structure that decoders put up with; then the pixels alone tell what it is.
        return b""


def check_match(metadata: Metadata, force: bool = False) -> None:
    """Refuses a picture that is not the one its metadata was made for.

    Args:
        metadata: of the picture.
        force: an edited picture passes, and another one of the same size.

    Raises:
        PictureMismatch: the picture was edited, is another one, or has another size.
    """
    if metadata.match not in _MISMATCH:
        return
    samples = metadata.stored.samples
    size, wanted = metadata.picture.shape[1:], (samples.height, samples.width)
    if size != wanted:
        raise PictureMismatch(
            f"{metadata.path}: has {size[1]}x{size[0]} pixels, its metadata is for "
            f"{wanted[1]}x{wanted[0]}; it was resized or cropped since"
        )
    if not force:
        raise PictureMismatch(f"{metadata.path}: {_MISMATCH[metadata.match]}", remedy="force")

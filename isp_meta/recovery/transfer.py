"""Metadata out of a picture, into a file of its own, and back; the picture is never decoded anew.

photo.jpg ── extract ─▶ photo.jpg.ispmeta ── attach ─▶ another file of the same picture
    └────── strip ───▶ photo.jpg as it was before
"""

from __future__ import annotations

import os
from pathlib import Path

from .. import carriers, codec, io
from ..errors import CarrierError, ImageFileError, PayloadCorrupt, PayloadMissing
from .metadata import Metadata, check_match, read_payload

__all__ = ["attach", "extract", "strip"]

PathLike = str | os.PathLike[str]


def strip(
    picture: PathLike,
    output: PathLike | None = None,
    *,
    in_place: bool = False,
    keep_time: bool = False,
    overwrite: bool = False,
) -> int:
    """Removes the metadata from a picture; everything else stays to the byte.

    A file into which :func:`isp_meta.embed` or :func:`attach` put metadata is the same as before. A
    TIFF that another program wrote anew since keeps zeros where the metadata was.

    Args:
        picture: JPEG, PNG, TIFF or DNG. A sidecar beside it stays.
        output: the file to write.
        in_place: replaces the picture instead, at once; owner, permissions and extended attributes
            stay where that is permitted, other hard links keep the old contents.
        keep_time: the file written has the picture's time of modification.
        overwrite: replaces an existing output.

    Returns:
        Number of bytes by which the file got shorter.

    Raises:
        ImageFileError, CarrierError: the picture cannot be read.
        OutputError: the output cannot be written. ValueError: neither or both of the two places.
    """
    path = _target([picture], output, in_place, overwrite)
    data, modified = io.read_bytes(picture, ImageFileError), _modified(picture, keep_time)
    try:
        stripped = carriers.strip(data)
    except CarrierError as error:
        raise CarrierError(f"{picture}: {error}") from error
    io.write_atomic(path, stripped, overwrite=overwrite or in_place, modified=modified)
    return len(data) - len(stripped)


def extract(picture: PathLike, output: PathLike | None = None, *, overwrite: bool = False) -> Path:
    """Copies a picture's metadata into a file of its own.

    Args:
        picture: JPEG, PNG, TIFF or DNG that carries its raw.
        output: the file to write; by default the picture's sidecar.
        overwrite: replaces an existing output.

    Returns:
        The file written.

    Raises:
        ImageFileError, CarrierError: the picture cannot be read.
        PayloadMissing, PayloadCorrupt: it has no whole metadata. OutputError: cannot be written.
    """
    path = Path(output) if output is not None else carriers.sidecar.sidecar_path(Path(picture))
    io.check_target(path, overwrite=overwrite, sources=[picture])
    _payload, packed, _source = read_payload(picture)
    io.write_atomic(path, packed, overwrite=overwrite)
    return path


def attach(
    picture: PathLike,
    metadata: PathLike | None = None,
    output: PathLike | None = None,
    *,
    in_place: bool = False,
    place: str | None = None,
    force: bool = False,
    keep_time: bool = False,
    overwrite: bool = False,
) -> Metadata:
    """Puts metadata into a picture, in place of any that it carries.

    Args:
        picture: JPEG, PNG or TIFF, which shows what the metadata was made for, at most compressed
            anew since.
        metadata: a file that :func:`extract` made, or another picture that carries some; by default
            the picture's sidecar.
        output: the file to write.
        in_place: replaces the picture instead, at once; owner, permissions and extended attributes
            stay where that is permitted, other hard links keep the old contents.
        place: of :func:`isp_meta.carriers.places`; by default the first.
        force: goes on where the picture was edited since; its size must still be the same.
        keep_time: the file written has the picture's time of modification.
        overwrite: replaces an existing output.

    Returns:
        The metadata, and how the picture relates to it.

    Raises:
        ImageFileError, CarrierError: a file cannot be read, or the picture can carry nothing.
        CarrierWarning: an offset in the picture's file will point elsewhere.
        PayloadMissing, PayloadCorrupt: there is no whole metadata.
        PictureMismatch: the metadata was made for another picture.
        OutputError: the output cannot be written. ValueError: neither or both of the two places.
    """
    source = carriers.sidecar.sidecar_path(Path(picture)) if metadata is None else Path(metadata)
    path = _target([picture, source], output, in_place, overwrite)
    packed = _packed(source)
    data, modified = io.read_bytes(picture, ImageFileError), _modified(picture, keep_time)
    codes = io.decode_pixels(data, str(picture), deep=True)
    try:
        payload = codec.decode_arrays(packed)
    except PayloadCorrupt as error:
        raise PayloadCorrupt(f"{source}: {error}") from error
    try:
        match = payload.binding.compare(io.eight_bits(codes), carriers.scan_digest(data))
        found = Metadata(Path(picture), payload, match, source, len(packed), len(data), codes)
        check_match(found, force)
        carriers.warn_of_offsets(data, picture)
        whole = carriers.insert(data, packed, place=place)
    except CarrierError as error:
        raise CarrierError(f"{picture}: {error}") from error
    io.write_atomic(path, whole, overwrite=overwrite or in_place, modified=modified)
    return found


def _target(
    sources: list[PathLike], output: PathLike | None, in_place: bool, overwrite: bool
) -> PathLike:
    """The file to write, refused before the work where it cannot be."""
    if in_place == (output is not None):
        raise ValueError("name an output, or ask to change the picture in place")
    if output is None:
        return sources[0]
    io.check_target(output, overwrite=overwrite, sources=sources)
    return output


def _modified(picture: PathLike, keep_time: bool) -> int | None:
    return Path(picture).stat().st_mtime_ns if keep_time else None


def _packed(source: Path) -> bytes:
    """The payload's bytes of a sidecar, or of a picture that carries one."""
    data = io.read_bytes(source, ImageFileError)
    try:
        carriers.places(data)
    except CarrierError:
        return data
    try:
        return carriers.extract(data)
    except (CarrierError, PayloadMissing, PayloadCorrupt) as error:
        raise type(error)(f"{source}: {error}") from error

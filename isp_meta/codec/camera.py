"""Section CAMR: everything in :class:`Camera` but the orientation, which is in the header."""

from __future__ import annotations

import math
import struct

from ..camera import Camera
from ..errors import PayloadCorrupt
from .reader import Reader, text_field

__all__ = ["pack_camera", "unpack_camera"]

_LEVELS = "d 3d 9d"
_PLACE = "H 2i H"


def pack_camera(camera: Camera) -> bytes:
    """The section's bytes.

    Raises:
        ValueError: a number that is not finite, not exact in float64 or out of its field's range;
            a text too long.
    """
    levels = (
        *camera.black_level,
        camera.white_level,
        *camera.as_shot_neutral,
        *camera.color_matrix,
    )
    for level in levels:
        if not math.isfinite(level) or float(level) != level:
            raise ValueError(f"the camera's {level} cannot be stored in a float64")
    try:
        place = struct.pack(">" + _PLACE, camera.illuminant, *camera.crop, len(camera.exif))
    except struct.error as error:
        raise ValueError(f"illuminant or crop is out of range: {error}") from None
    # Sorted, so that equal cameras give equal bytes.
    tags = sorted((text_field(name), text_field(value)) for name, value in camera.exif.items())
    texts = [text_field(camera.make), text_field(camera.model), *(n + v for n, v in tags)]
    layout = f">{len(camera.cfa)}d {_LEVELS}"
    return text_field(camera.cfa) + struct.pack(layout, *levels) + place + b"".join(texts)


def unpack_camera(data: bytes, orientation: int) -> Camera:
    """The camera of a section's bytes.

    Raises:
        PayloadCorrupt: damaged, or values that no camera has.
    """
    reader = Reader(data, "section CAMR of the raw metadata")
    cfa = reader.text()
    black, levels = reader.unpack(f"{len(cfa)}d"), reader.unpack(_LEVELS)
    illuminant, top, left, tags = reader.unpack(_PLACE)
    make, model = reader.text(), reader.text()
    exif = {reader.text(): reader.text() for _ in range(tags)}
    reader.finish()
    if len(exif) != tags:
        raise PayloadCorrupt("the camera in the raw metadata has one EXIF tag twice")
    if not all(map(math.isfinite, black + levels)):
        raise PayloadCorrupt("the camera in the raw metadata has a level that is not finite")
    try:
        return Camera(
            make=make,
            model=model,
            cfa=cfa,
            black_level=black,
            white_level=levels[0],
            as_shot_neutral=levels[1:4],
            color_matrix=levels[4:],
            illuminant=illuminant,
            orientation=orientation,
            crop=(top, left),
            exif=exif,
        )
    except ValueError as error:
        raise PayloadCorrupt(f"the camera in the raw metadata is wrong: {error}") from None

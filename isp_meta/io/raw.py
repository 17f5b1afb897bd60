"""Reading raw files through LibRaw."""

from __future__ import annotations

import math
import os
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
import rawpy
import torch

from ..camera import BAYER_PATTERNS, Camera
from ..errors import RawFileError
from ..frame import Frame
from .dng.calibration import as_shot_neutral, black_levels, color_matrix, noise_profile
from .dng.editing import editor_tags
from .dng.opcodes import gain_maps
from .dng.profile import color_profile
from .dng.tags import Tag, TiffTags, read_tags
from .exif import ratio_text, read_exif
from .input import read_bytes

__all__ = ["read_raw"]

# LibRaw's flip: bit 0 mirrors columns, bit 1 rows, bit 2 swaps both axes first (LibRaw, "flip").
_FLIP_TO_ORIENTATION = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
_DAMAGED = "it is damaged or cut off; copy it again from the camera or card"


def read_raw(path: str | os.PathLike[str], *, gps: bool = False) -> Frame:
    """Reads the mosaic of a Bayer raw file, and what the file says of its camera.

    Args:
        path: DNG, CR2, CR3, NEF, ARW, RAF ... whatever LibRaw reads.
        gps: whether the camera's ``exif`` may tell where the picture was taken.

    Returns:
        A Frame with ``codes`` (1, H, W) float32: the visible area in the sensor's own orientation,
        in sensor codes (after a DNG's LinearizationTable), black level included; and ``camera``.
        A DNG's own tags go before what LibRaw makes of them, since LibRaw rounds black levels and
        drops the illuminant. Where the file is not TIFF-based, make, model and most of EXIF
        come from Exiv2, if the ``exif`` extra is installed.

    Raises:
        RawFileError: missing, a folder, empty, truncated, no raw, or of a kind that has no 2x2
            Bayer mosaic; the text names file, cause and what to do.
    """
    data = read_bytes(path)
    tags = read_tags(data) or TiffTags()
    if tags.is_dng and tags.size > len(data):
        raise RawFileError(
            f"{path}: truncated, it has {len(data)} of at least {tags.size} bytes; "
            "copy it again from the camera or card"
        )
    try:
        with rawpy.imread(BytesIO(data)) as raw:
            cfa = _cfa(raw, tags, path)
            codes = torch.from_numpy(raw.raw_image_visible.astype(np.float32))[None]
            camera = _camera(raw, tags, cfa)
            if gps:
                camera = camera.replace(exif={**camera.exif, **tags.gps})
            return Frame(camera=_with_exif(camera, data, gps), codes=codes)
    except RawFileError:
        raise
    except rawpy.LibRawFileUnsupportedError as error:
        raise RawFileError(
            f"{path}: no raw file that LibRaw knows; a JPEG, PNG or TIFF is already rendered, "
            "and a new camera's raw may need conversion to DNG"
        ) from error
    except (rawpy.LibRawIOError, rawpy.LibRawDataError) as error:
        raise RawFileError(f"{path}: {_DAMAGED}") from error
    except (rawpy.LibRawUnsufficientMemoryError, rawpy.LibRawTooBigError, MemoryError) as error:
        raise RawFileError(f"{path}: too large for memory; see whether it is intact") from error
    except Exception as error:  # hostile bytes lead rawpy to raise nearly anything
        raise RawFileError(f"{path}: makes no sense ({error}); {_DAMAGED}") from error


def _cfa(raw: Any, tags: TiffTags, path: str | os.PathLike[str]) -> str:
    what = _not_bayer(raw, tags)
    if what is None:
        cfa: str = "".join(chr(raw.color_desc[i]) for i in raw.raw_pattern.ravel())
        if cfa in BAYER_PATTERNS:
            return cfa
        what = f"a {cfa} mosaic"
    raise RawFileError(
        f"{path}: holds {what}; only 2x2 Bayer mosaics "
        f"({', '.join(BAYER_PATTERNS)}) are supported, use a file from such a camera"
    )


def _not_bayer(raw: Any, tags: TiffTags) -> str | None:
    if raw.raw_type != rawpy.RawType.Flat:
        return "all colors at every pixel (demosaiced already, or a layered sensor)"
    pattern = raw.raw_pattern
    if pattern is None or pattern.size == 1:
        return "no mosaic (a monochrome sensor)"
    if pattern.shape == (6, 6):
        return "a 6x6 X-Trans mosaic"
    # LibRaw squeezes a DNG's pattern into eight rows by two, and its planes into red, green, blue.
    repeat = tags.numbers.get(Tag.CFA_REPEAT_PATTERN_DIM, (2.0, 2.0))
    if pattern.shape != (2, 2) or (tags.is_dng and repeat != (2, 2)):
        rows, columns = repeat if tags.is_dng else pattern.shape
        return f"a {int(rows)}x{int(columns)} mosaic"
    if raw.num_colors != 3:
        return f"a mosaic of {raw.num_colors} colors"
    if tags.is_dng and tags.numbers.get(Tag.CFA_PLANE_COLOR, (0, 1, 2)) != (0, 1, 2):
        return "a mosaic of colors other than red, green, blue"
    return None


def _camera(raw: Any, tags: TiffTags, cfa: str) -> Camera:
    sizes = raw.sizes
    top, left = sizes.top_margin, sizes.left_margin
    black, neutral, color = None, None, None
    if tags.is_dng:
        black = black_levels(tags, top, left)
        neutral = as_shot_neutral(tags)
        color = color_matrix(tags)
    if black is None:
        # For a Bayer mosaic LibRaw folds its 2x2 black pattern into one value a color index, and
        # the second green has an index of its own.
        black = tuple(float(raw.black_level_per_channel[i]) for i in raw.raw_pattern.ravel())
    window = (top, left, sizes.height, sizes.width)
    measured = {} if color is None else {"color_matrix": color[0], "illuminant": color[1]}
    if color is None and np.any(raw.rgb_xyz_matrix[:3]):
        # LibRaw's table of cameras holds the matrices for D65, Camera's default illuminant.
        measured["color_matrix"] = tuple(float(v) for v in raw.rgb_xyz_matrix[:3].ravel())
    return Camera(
        make=tags.texts.get(Tag.MAKE, ""),
        model=tags.texts.get(Tag.MODEL, ""),
        cfa=cfa,
        black_level=black,
        white_level=float(raw.white_level),
        as_shot_neutral=neutral or _neutral_of_gains(raw),  # type: ignore[arg-type]
        orientation=_FLIP_TO_ORIENTATION.get(sizes.flip, 1),
        crop=(top, left),
        exif={**_exif_of_libraw(raw), **tags.exif},
        gain_maps=gain_maps(tags, window),
        editing=editor_tags(tags, window) if tags.is_dng else None,
        noise=noise_profile(tags),
        profile=color_profile(tags) if tags.is_dng else None,
        **measured,  # type: ignore[arg-type]
    )


def _with_exif(camera: Camera, data: bytes, gps: bool) -> Camera:
    """The camera's name and exposure from Exiv2, where the file's tags are none that we read."""
    if camera.make:
        return camera
    found = read_exif(data, gps=gps)
    make, model = found.pop("Make", ""), found.pop("Model", camera.model)
    return camera.replace(make=make, model=model, exif={**camera.exif, **found})


def _neutral_of_gains(raw: Any) -> tuple[float, ...]:
    for gains in (raw.camera_whitebalance, raw.daylight_whitebalance):
        if all(math.isfinite(g) and g > 0 for g in gains[:3]):
            return tuple(gains[1] / g for g in gains[:3])
    return (1.0, 1.0, 1.0)


def _exif_of_libraw(raw: Any) -> dict[str, str]:
    other = raw.other
    exif = {}
    # LibRaw gives single precision; the nearest simple ratio is what the camera had written.
    for name, value, denominator in (
        ("ExposureTime", other.shutter_speed, 16000),
        ("FNumber", other.aperture, 100),
        ("ISO", other.iso_speed, 1),
        ("FocalLength", other.focal_length, 100),
    ):
        if math.isfinite(value) and value > 0:
            exif[name] = ratio_text(Fraction(value).limit_denominator(denominator))
    if other.timestamp is not None and other.timestamp.year > 1970:
        exif["DateTimeOriginal"] = other.timestamp.strftime("%Y:%m:%d %H:%M:%S")
    if raw.lens.model:
        exif["LensModel"] = raw.lens.model
    return exif

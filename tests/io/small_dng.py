"""Small raw files, made as a test wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from isp_meta.io.dng.directory import EXIF_PLACEHOLDER
from isp_meta.io.dng.tags import CFA, Tag

HEIGHT, WIDTH = 40, 48
CODES = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
MATRIX = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)


def write(path: Path, changes: dict[int, tuple[int, Any]] | None = None, **options: Any) -> Path:
    """A small uncompressed Bayer DNG; ``changes``: tag to (type, value), None drops the tag."""
    tags: dict[int, tuple[int, Any]] = {
        Tag.DNG_VERSION: (1, (1, 4, 0, 0)),
        Tag.UNIQUE_CAMERA_MODEL: (2, "Maker Model"),
        Tag.MAKE: (2, "Maker"),
        Tag.MODEL: (2, "Model"),
        Tag.CFA_REPEAT_PATTERN_DIM: (3, (2, 2)),
        Tag.CFA_PATTERN: (1, (0, 1, 1, 2)),
        Tag.BLACK_LEVEL_REPEAT_DIM: (3, (2, 2)),
        Tag.BLACK_LEVEL: (5, (10, 1, 20, 1, 61, 2, 41, 1)),
        Tag.WHITE_LEVEL: (4, 4000),
        Tag.COLOR_MATRIX[0]: (10, MATRIX),
        Tag.CALIBRATION_ILLUMINANT[0]: (3, 21),
        Tag.AS_SHOT_NEUTRAL: (5, (1, 2, 1, 1, 3, 5)),
        **(changes or {}),
    }
    extra = []
    for code, (kind, value) in tags.items():
        if value is None:
            continue
        count = len(value) if isinstance(value, tuple) else 0 if kind == 2 else 1
        extra.append((code, kind, count // 2 if kind in (5, 10) else count, value, True))
    options = {"photometric": CFA, "subfiletype": 0, "metadata": None, **options}
    with tifffile.TiffWriter(path, byteorder="<") as tif:
        tif.write(CODES, extratags=[*extra, EXIF_PLACEHOLDER], software=False, **options)
    return path

"""The sensor behind a picture: its calibration, and what its raw file says to raw editors."""

from .editing import EDITOR_TAGS, EditorTag, EditorTags
from .sensor import (
    BAYER_PATTERNS,
    LINEAR,
    MONOCHROME,
    QUAD_BAYER,
    XTRANS,
    Camera,
    ColorProfile,
    GainMap,
    Neutral,
    check_cfa,
    pattern_of,
    period_of,
)

__all__ = [
    "BAYER_PATTERNS",
    "EDITOR_TAGS",
    "LINEAR",
    "MONOCHROME",
    "QUAD_BAYER",
    "XTRANS",
    "Camera",
    "ColorProfile",
    "EditorTag",
    "EditorTags",
    "GainMap",
    "Neutral",
    "check_cfa",
    "pattern_of",
    "period_of",
]

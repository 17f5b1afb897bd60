"""Samples to bytes and back, with everything that recovery needs beside them.

    Payload ──encode──▶ bytes ──decode──▶ Payload

The layout is defined in docs/format.md. Nothing here touches files or pictures.
"""

from .binding import Binding, Match
from .depth import Depth, Recovery
from .editing import editing_size, editing_within
from .enhancement import Enhancement
from .mosaic import Mosaic
from .payload import Coding, Payload, decode, decode_arrays, encode
from .steps import Steps, quantize

__all__ = [
    "Binding",
    "Coding",
    "Depth",
    "Enhancement",
    "Match",
    "Mosaic",
    "Payload",
    "Recovery",
    "Steps",
    "decode",
    "decode_arrays",
    "editing_size",
    "editing_within",
    "encode",
    "quantize",
]

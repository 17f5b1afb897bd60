"""Sample positions and values to bytes and back; docs/format.md is the definition.

``cell`` is the side of the sampler's cell in pixels, 0 where it had none. Arrays are C-contiguous.
Everything raises ValueError for wrong arguments and lets other threads run while it works.
"""

import numpy as np
import numpy.typing as npt

MOST_SIDE: int
MOST_PIXELS: int
MOST_SAMPLES: int

class CorruptStream(ValueError): ...

def encode_positions(
    index: npt.NDArray[np.int64], height: int, width: int, cell: int, packed: bool
) -> bytes: ...
def decode_positions(
    data: bytes, height: int, width: int, cell: int, count: int
) -> npt.NDArray[np.int64]: ...
def encode_values(
    values: npt.NDArray[np.uint16],
    index: npt.NDArray[np.int64],
    height: int,
    width: int,
    cell: int,
    most: int,
) -> bytes: ...
def decode_values(
    data: bytes,
    index: npt.NDArray[np.int64],
    height: int,
    width: int,
    cell: int,
    most: int,
) -> npt.NDArray[np.uint16]: ...
def encode_predicted(
    values: npt.NDArray[np.uint16],
    index: npt.NDArray[np.int64],
    pixels: npt.NDArray[np.uint8],
    cell: int,
    most: int,
) -> bytes: ...
def decode_predicted(
    data: bytes,
    index: npt.NDArray[np.int64],
    pixels: npt.NDArray[np.uint8],
    cell: int,
    most: int,
) -> npt.NDArray[np.uint16]: ...
def pack(values: npt.NDArray[np.uint16], bits: int) -> bytes: ...
def unpack(data: bytes, count: int, bits: int) -> npt.NDArray[np.uint16]: ...
def encode_mosaic(
    codes: npt.NDArray[np.uint16],
    colors: str,
    columns: int,
    guide: npt.NDArray[np.uint8],
    threads: int,
) -> bytes: ...
def decode_mosaic(
    data: bytes,
    height: int,
    width: int,
    colors: str,
    columns: int,
    guide: npt.NDArray[np.uint8],
    threads: int,
) -> npt.NDArray[np.uint16]: ...
def encode_enhancement(levels: npt.NDArray[np.int16], threads: int) -> bytes: ...
def decode_enhancement(
    data: bytes, rows: int, columns: int, channels: int, threads: int
) -> npt.NDArray[np.int16]: ...

"""One JPEG of a DNG's strip or tile: lossless or DCT, known to be decoded to its last sample."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

__all__ = ["JpegHeader", "decode_jpeg", "read_jpeg_header"]

_SOI, _EOI, _SOS, _DHT, _JPG, _DAC = 0xD8, 0xD9, 0xDA, 0xC4, 0xC8, 0xCC
_RESTARTS = range(0xD0, 0xD8)
_ALONE = {0x01, *_RESTARTS}  # markers without a length
_LOSSLESS = 0xC3
_DCT = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_OTHERS = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "arithmetic-coded"),
}
# What no encoder writes at a scan's end: without 0xFF, which would begin a marker, and first a bit
# unlike those that a decoder makes up, zeros.
_STRAY = bytes((37 * i * i + 91 * i + 170) % 251 for i in range(64))
_SHORTEST_TESTED = 4 * len(_STRAY)


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG says of itself.

    Attributes:
        lossless: Huffman-coded differences (SOF3), as against a DCT.
        other: name of a coding that is not read, or "".
        precision: bits a sample.
        height, width, components: of the picture.
        scan: (start, end) in the JPEG of the last scan's coded bytes.
    """

    lossless: bool
    other: str
    precision: int
    height: int
    width: int
    components: int
    scan: tuple[int, int]


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Walks the markers of a JPEG.

    Raises:
        ValueError: it is none; the text says why.

    Source: ITU-T T.81, annex B.
    """
    if data[:2] != bytes((0xFF, _SOI)):
        raise ValueError("does not begin as a JPEG")
    frame: tuple[int, bytes] | None = None
    scan, place = None, 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            raise ValueError("has no marker where one belongs")
        marker = data[place + 1]
        if marker == _EOI:
            break
        if marker in _ALONE or marker == 0xFF:
            place += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        body = data[place + 4 : place + 2 + length]
        place += 2 + length
        if 0xC0 <= marker <= 0xCF and marker not in (_DHT, _JPG, _DAC):
            frame = marker, body
        elif marker == _SOS:
            scan = place, _end_of_scan(data, place)
            place = scan[1]
    if frame is None or scan is None or len(frame[1]) < 6:
        raise ValueError("has no picture in it")
    marker, body = frame
    precision, height, width, components = struct.unpack_from(">BHHB", body)
    other = _OTHERS.get(marker, "")
    return JpegHeader(marker == _LOSSLESS, other, precision, height, width, components, scan)


def _end_of_scan(data: bytes, start: int) -> int:
    """Where the marker behind a scan stands; the end of the data without one."""
    place = data.find(b"\xff", start)
    while 0 <= place < len(data) - 1:
        following = data[place + 1]
        if following == 0xFF:
            fill = place
            while place < len(data) - 1 and data[place + 1] == 0xFF:
                place += 1
            if place < len(data) - 1 and data[place + 1] not in (0, *_RESTARTS):
                return fill
        elif following and following not in _RESTARTS:
            return place
        place = data.find(b"\xff", place + 1 if following == 0xFF else place + 2)
    return len(data)


def decode_jpeg(data: bytes, header: JpegHeader) -> NDArray[np.unsignedinteger]:
    """Samples of a JPEG, all of them decoded from its bytes.

    A decoder makes up what a cut-off scan lacks, and passes over what a derailed one leaves. So
    other bytes are put behind the scan's end, which must change nothing, and in place of its last
    ones, which must change something.

    Returns:
        (height, width * components) uint8 or uint16, components side by side.

    Raises:
        ValueError, imagecodecs.Jpeg8Error: the data are damaged.
    """
    start, end = header.scan
    samples = _decoded(data, header)
    tail = data[end:]
    if tail[:2] != bytes((0xFF, _EOI)):
        tail = bytes((0xFF, _EOI))
    if not np.array_equal(samples, _decoded(_followed(data, end, tail), header)):
        raise ValueError("ends before its last sample")
    if end - start >= _SHORTEST_TESTED:
        cut = _followed(data, end - len(_STRAY), tail)
        if np.array_equal(samples, _decoded(cut, header)):
            raise ValueError("holds more than its samples")
    return samples


def _followed(data: bytes, place: int, tail: bytes) -> bytes:
    """The JPEG up to a place in its scan, stray bytes, and a tail."""
    # Between 0xFF and the zero behind it the stray bytes would be a marker.
    return data[:place].rstrip(b"\xff") + _STRAY + tail


def _decoded(data: bytes, header: JpegHeader) -> NDArray[np.unsignedinteger]:
    # Lossless components are samples side by side, never colors to be converted.
    space = imagecodecs.JPEG8.CS.UNKNOWN if header.lossless else None
    found: NDArray[np.unsignedinteger] = imagecodecs.jpeg8_decode(
        data, colorspace=space, outcolorspace=space
    )
    return found.reshape(header.height, -1)

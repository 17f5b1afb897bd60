"""The first 40 bytes: what wrote the payload, how long it is, and the picture that it is for."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from .._payload import MOST_PIXELS, MOST_SAMPLES, MOST_SIDE
from ..errors import PayloadCorrupt
from .steps import Steps

__all__ = ["Header"]

MAGIC = b"\x89ISPM\r\n\x1a"
MAJOR, MINOR = 1, 0
_VERSION = struct.Struct(">8sBBHQ")
_PICTURE = struct.Struct(">IIIIBBH")


@dataclass(frozen=True)
class Header:
    """Fields of the header that describe the picture.

    Attributes:
        width, height: of the picture, pixels, 1 to 2^20, their product at most 2^31.
        cell: side of the sampler's cell, pixels, 0 for none, at most 2^20.
        count: of samples, at most one a pixel and 2^25.
        steps: that values are stored in.
        orientation: EXIF Orientation, 1 to 8.

    Raises:
        ValueError: a field out of its range.
    """

    width: int
    height: int
    cell: int
    count: int
    steps: Steps
    orientation: int

    SIZE: ClassVar[int] = _VERSION.size + _PICTURE.size

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MOST_SIDE and 1 <= self.height <= MOST_SIDE):
            raise ValueError(f"a picture of {self.width}x{self.height} pixels is out of range")
        if self.width * self.height > MOST_PIXELS:
            raise ValueError(f"a picture of {self.width}x{self.height} pixels is too large")
        if not 0 <= self.cell <= MOST_SIDE:
            raise ValueError(f"cell must be 0 to {MOST_SIDE}, not {self.cell}")
        if not 0 <= self.count <= min(MOST_SAMPLES, self.width * self.height):
            raise ValueError(
                f"{self.count} samples are too many for {self.width}x{self.height} pixels"
            )
        if not 1 <= self.orientation <= 8:
            raise ValueError(f"orientation must be 1 to 8, not {self.orientation}")

    def pack(self, total: int) -> bytes:
        """The header of a payload of ``total`` bytes."""
        version = _VERSION.pack(MAGIC, MAJOR, MINOR, self.SIZE, total)
        slope, levels = self.steps.slope, self.steps.levels
        return version + _PICTURE.pack(
            self.width, self.height, self.cell, self.count, slope, self.orientation, levels
        )

    @staticmethod
    def check_version(data: bytes) -> int:
        """Size of the header in bytes, once magic, version and total length are found right.

        Raises:
            PayloadCorrupt: no payload, a newer major version, or not the length that it states.
        """
        if data[: len(MAGIC)] != MAGIC:
            raise PayloadCorrupt("the raw metadata starts with another format's mark")
        if len(data) < Header.SIZE:
            raise PayloadCorrupt("the raw metadata ends within its header")
        _, major, minor, size, total = _VERSION.unpack_from(data)
        if major > MAJOR:
            raise PayloadCorrupt(
                f"the raw metadata was written by a newer version of isp_meta: its format is "
                f"{major}.{minor}, this reader knows {MAJOR}.x"
            )
        if major < 1:
            raise PayloadCorrupt(f"the raw metadata is of version {major}.{minor}, which never was")
        if total != len(data):
            raise PayloadCorrupt(f"the raw metadata should be {total} bytes long, not {len(data)}")
        if not Header.SIZE <= size <= len(data):
            raise PayloadCorrupt(f"the raw metadata states a header of {size} bytes")
        return int(size)

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """The fields, from a payload that :meth:`check_version` accepted.

        Raises:
            PayloadCorrupt: a field out of its range.
        """
        width, height, cell, count, slope, orientation, levels = _PICTURE.unpack_from(
            data, _VERSION.size
        )
        try:
            return cls(width, height, cell, count, Steps(levels, slope), orientation)
        except ValueError as error:
            raise PayloadCorrupt(f"the raw metadata's header is wrong: {error}") from None

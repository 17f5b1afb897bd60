"""Raw files without a header: what a sensor delivered, and no word about it.

Dumps of machine vision, of Raspberry Pi and Android, of tools that undo a raw file. Whoever has one
says how it lies there, as :class:`RawLayout`, in Python, on the command line, or in a TOML file.

Sources: MIPI CSI-2 specification, "RAW10", "RAW12", "RAW14" (packing "mipi"); TIFF 6.0, section 8,
FillOrder (packing "packed").
"""

from __future__ import annotations

import dataclasses
import os
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray

from ..camera import Camera
from ..errors import RawFileError
from ..frame import Frame
from .dng.tags import open_tiff
from .known_cameras import known_camera
from .refusals import cut_off, damaged, unsupported
from .suffixes import LAYOUT_SUFFIX
from .toml_file import described, fits, parse_toml, read_text

__all__ = ["RawLayout", "layout_beside", "read_headerless", "read_layout"]

Packing = Literal["unpacked", "mipi", "packed"]
_MOST_PIXELS = 1 << 28
_BAND = 1 << 24  # bytes of unpacked bits at a time


@dataclass(frozen=True)
class RawLayout:
    """How a mosaic lies in a file that does not say so.

    Attributes:
        width, height: of the mosaic, photosites.
        bits: of a code, 8 to 16.
        cfa: colors of one square period, row-major, as :attr:`Camera.cfa`; "W": no filter.
        black: sensor code at zero light: one for all, or one for each letter.
        white: sensor code at saturation; None: the largest of so many bits.
        packing: "unpacked": a byte a code for 8 bits, else two; "mipi": groups of 10, 12 or 14
            bits as MIPI CSI-2 has them; "packed": codes follow each other bit by bit.
        byte_order: "little" or "big". Of packed codes: whether a byte's lowest or highest bits
            come first.
        alignment: where the bits lie in two bytes: "low", or "high" with zeros below.
        offset: bytes before the first row.
        stride: bytes from row to row; 0: rows follow each other.
        tail: bytes behind the last row.
        make, model: of a camera whose colors LibRaw knows, as in EXIF; "": unknown colors.
        neutral: (3,) camera color of a neutral object, green = 1; None: as that camera has it in
            daylight, else 1, 1, 1.
        orientation: EXIF Orientation, 1 to 8.

    Raises:
        ValueError: a value out of its range, or values that do not go together.
    """

    width: int
    height: int
    bits: int = 16
    cfa: str = "RGGB"
    black: float | tuple[float, ...] = 0.0
    white: float | None = None
    packing: Packing = "unpacked"
    byte_order: Literal["little", "big"] = "little"
    alignment: Literal["low", "high"] = "low"
    offset: int = 0
    stride: int = 0
    tail: int = 0
    make: str = ""
    model: str = ""
    neutral: tuple[float, float, float] | None = None
    orientation: int = 1

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self)).items():
            choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
            if choices and getattr(self, name) not in choices:
                raise ValueError(f"{name} must be {described(hint)}, not {getattr(self, name)!r}")
        if not 8 <= self.bits <= 16:
            raise ValueError(f"bits must be 8 to 16, not {self.bits}")
        if self.width < 1 or self.height < 1 or self.width * self.height > _MOST_PIXELS:
            raise ValueError(f"there is no mosaic of {self.width}x{self.height} photosites")
        if self.packing == "mipi" and self.bits not in (8, 10, 12, 14):
            raise ValueError(f"MIPI packs 8, 10, 12 or 14 bits, not {self.bits}")
        if self.packing != "unpacked" and self.alignment == "high":
            raise ValueError("only unpacked codes have an alignment")
        if min(self.offset, self.stride, self.tail) < 0:
            raise ValueError("offset, stride and tail are numbers of bytes, 0 or more")
        if 0 < self.stride < self.row_bytes:
            raise ValueError(f"a row has {self.row_bytes} bytes, more than stride {self.stride}")
        if bool(self.make) != bool(self.model):
            raise ValueError("make and model go together")
        self.camera_without_colors()

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's codes."""
        if self.packing == "unpacked":
            return self.width * (1 if self.bits == 8 else 2)
        return -(-self.width * self.bits // 8)

    @property
    def size(self) -> int:
        """Bytes of the whole file; the last row needs no padding."""
        stride = self.stride or self.row_bytes
        return self.offset + stride * (self.height - 1) + self.row_bytes + self.tail

    def camera_without_colors(self) -> Camera:
        """The sensor, its colors those of sRGB.

        Raises:
            ValueError: levels or letters that no Camera takes.
        """
        levels = self.black if isinstance(self.black, tuple) else (self.black,)
        letters = 3 if self.cfa == "RGB" else len(self.cfa)
        if len(levels) not in (1, letters):
            raise ValueError(f"black takes 1 or {letters} levels, not {len(levels)}")
        return Camera(
            cfa=self.cfa,
            black_level=levels if len(levels) == letters else levels * letters,
            white_level=float(2**self.bits - 1 if self.white is None else self.white),
            as_shot_neutral=self.neutral or (1.0, 1.0, 1.0),
            orientation=self.orientation,
        )

    def camera(self) -> Camera:
        """The sensor, its colors those of a known camera.

        Raises:
            RawFileError: LibRaw knows no camera of that name.
        """
        camera = self.camera_without_colors()
        if not self.make:
            return camera
        known = known_camera(self.make, self.model)
        return camera.replace(
            make=self.make,
            model=self.model,
            color_matrix=known.color_matrix,
            illuminant=known.illuminant,
            as_shot_neutral=self.neutral or known.as_shot_neutral,
        )


def read_headerless(data: bytes, kind: str, name: object, layout: RawLayout) -> Frame:
    """Reads a mosaic by a layout that its user gives.

    Args:
        data: the whole file: codes alone, or a gray PNG or TIFF of 8 or 16 bits that holds them.
        kind: as :func:`isp_meta.io.signatures.what_is` tells it.
        name: of the file, for errors.
        layout: how the codes lie in it.

    Returns:
        A Frame with ``codes`` (1, H, W) float32 and ``camera``.

    Raises:
        RawFileDamaged: shorter than its layout, or a damaged PNG or TIFF. RawFileUnsupported: of
            another size, or with codes beyond its bits.
    """
    codes = _picture(data, kind, name, layout) if kind in ("PNG", "TIFF") else None
    if codes is None:
        codes = _aligned(_dump(data, name, layout), layout)
    largest = int(codes.max(initial=0))
    if largest >= 1 << layout.bits:
        raise unsupported(
            name,
            f"it holds code {largest}, which {layout.bits} bits do not",
            "correct bits, byte order, alignment or offset",
        )
    return Frame(camera=layout.camera(), codes=torch.from_numpy(codes.astype(np.float32))[None])


def _picture(data: bytes, kind: str, name: object, layout: RawLayout) -> NDArray[np.uint16]:
    """The codes of a gray picture."""
    try:
        if kind == "PNG":
            codes = np.asarray(imagecodecs.png_decode(data))
        else:
            with open_tiff(data) as tif:
                codes = np.asarray(tif.pages.first.asarray())
    except Exception as error:  # hostile bytes make decoders raise nearly anything
        raise damaged(name, f"its {kind} cannot be decoded") from error
    if codes.shape != (layout.height, layout.width) or codes.dtype.kind != "u":
        shape = "x".join(str(side) for side in codes.shape[1::-1])
        channels = f" in {codes.shape[2]} channels" if codes.ndim == 3 else ""
        found = f"{kind} of {shape} {codes.dtype}{channels}"
        what = f"{found}, where the layout says {_size(layout)} of gray"
        raise unsupported(name, what, "correct the layout")
    return _aligned(codes.astype(np.uint16), layout)


def _size(layout: RawLayout) -> str:
    return f"{layout.width}x{layout.height}"


def _dump(data: bytes, name: object, layout: RawLayout) -> NDArray[np.uint16]:
    """(H, W) the words of a file that holds nothing else."""
    if len(data) < layout.size:
        raise cut_off(name, len(data), layout.size, f"{_size(layout)} of {layout.bits} bits")
    stride = layout.stride or layout.row_bytes
    # A whole stride behind the last row is as usual as none.
    padded = layout.size + stride - layout.row_bytes
    if len(data) not in (layout.size, padded):
        raise unsupported(
            name,
            f"it has {len(data)} bytes, where {_size(layout)} of {layout.bits} bits, "
            f"{layout.packing}, has {layout.size}",
            "correct size, bits or packing, or name the bytes before (offset), in a row (stride) "
            "and behind (tail)",
        )
    rows = np.lib.stride_tricks.as_strided(
        np.frombuffer(data, np.uint8, offset=layout.offset),
        (layout.height, layout.row_bytes),
        (stride, 1),
        writeable=False,
    )
    if layout.packing == "unpacked" or layout.bits == 8:
        order = "<" if layout.byte_order == "little" else ">"
        kind = "u1" if layout.bits == 8 else order + "u2"
        return np.ascontiguousarray(rows).view(kind).astype(np.uint16)
    unpack = _mipi if layout.packing == "mipi" else _bit_by_bit
    codes = np.empty((layout.height, layout.width), np.uint16)
    band = max(1, _BAND // (8 * layout.row_bytes))
    for top in range(0, layout.height, band):
        codes[top : top + band] = unpack(rows[top : top + band], layout)
    return codes


def _mipi(rows: NDArray[np.uint8], layout: RawLayout) -> NDArray[np.uint16]:
    """Of each group first the high eight bits of every code, then their low bits together."""
    low = layout.bits - 8
    group = {2: 4, 4: 2, 6: 4}[low]
    size = group + group * low // 8
    padding = -rows.shape[1] % size
    groups = np.pad(rows, ((0, 0), (0, padding))).reshape(len(rows), -1, size)
    lows = np.unpackbits(groups[..., group:], axis=2, bitorder="little")
    weights = (1 << np.arange(low)).astype(np.uint16)
    lows16 = lows.reshape(*groups.shape[:2], group, low).astype(np.uint16) @ weights
    codes = np.left_shift(groups[..., :group].astype(np.uint16), low) | lows16
    unpacked: NDArray[np.uint16] = codes.reshape(len(rows), -1)[:, : layout.width]
    return unpacked


def _bit_by_bit(rows: NDArray[np.uint8], layout: RawLayout) -> NDArray[np.uint16]:
    little = layout.byte_order == "little"
    bits = np.unpackbits(rows, axis=1, bitorder="little" if little else "big")
    bits = bits[:, : layout.width * layout.bits].reshape(len(rows), layout.width, layout.bits)
    places = np.arange(layout.bits)
    weights = (1 << (places if little else places[::-1])).astype(np.uint16)
    unpacked: NDArray[np.uint16] = bits.astype(np.uint16) @ weights
    return unpacked


def _aligned(words: NDArray[np.uint16], layout: RawLayout) -> NDArray[np.uint16]:
    if layout.alignment == "low" or words.dtype == np.uint8:
        return words
    return np.right_shift(words, 16 - layout.bits)


def layout_beside(path: str | os.PathLike[str]) -> RawLayout | None:
    """The layout in the TOML file beside a raw file (photo.raw.toml), or None.

    Raises:
        RawFileError: see :func:`read_layout`.
    """
    beside = Path(f"{os.fspath(path)}{LAYOUT_SUFFIX}")
    return read_layout(beside) if beside.is_file() else None


def read_layout(path: str | os.PathLike[str]) -> RawLayout:
    """A layout from a TOML file: the attributes of :class:`RawLayout` by name.

    Raises:
        RawFileError: it cannot be read, has another name or value in it, or lacks width or height.
    """
    table = parse_toml(read_text(path, RawFileError), str(path), RawFileError)
    hints = typing.get_type_hints(RawLayout)
    for key, value in table.items():
        if key not in hints:
            raise RawFileError(f"{path}: {key} is none of {', '.join(hints)}")
        if not fits(value, hints[key]):
            raise RawFileError(f"{path}: {key} must be {described(hints[key])}, not {value!r}")
    required = [f.name for f in dataclasses.fields(RawLayout) if f.default is dataclasses.MISSING]
    if not set(required) <= table.keys():
        raise RawFileError(f"{path}: {' and '.join(required)} must be there")
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in table.items()
    }
    try:
        return RawLayout(**values)
    except ValueError as error:
        raise RawFileError(f"{path}: {error}") from error

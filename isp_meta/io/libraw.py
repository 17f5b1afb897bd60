"""LibRaw, held so that what it gives is what the file holds; and silent.

LibRaw decodes into memory as the system gives it. What it cannot decode it leaves untouched, often
without an error, and that memory may hold the picture read before. Here that memory is filled with
a value first. Where the value is found afterwards, or where it may be there in another form, the
file is decoded again over another value, and a photosite that is not the same both times did not
come from the file.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from ..errors import RawFileError
from .refusals import LINEAR_DNG, cut_off, damaged, unsupported

__all__ = ["LIBRAW", "Unpacked", "unpack"]

LIBRAW = "LibRaw " + ".".join(str(number) for number in rawpy.libraw_version)
"""With its version, for errors."""

_M_PERTURB = -6  # glibc, malloc.h: what is allocated gets the complement of this byte
_POISONS = (0xCC, 0x55)  # the first makes 52,428, a code of no sensor of 15 bits or less
# Formats whose decoders write code by code, or read whole codes into the picture's memory.
_BY_VALUE = frozenset({"TIFF", "ORF", "RW2", "RAF", "CR3"})
_PROBED = 1 << 20
_UNBUFFERED = 2  # glibc, stdio.h: _IONBF
_CORRUPTED = re.compile(r"data corrupted at (\d+)")
# Allocation is poisoned, and stderr exchanged, for the whole process: one decode at a time.
_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class Unpacked:
    """What LibRaw says of a file of which it decoded every photosite.

    Attributes:
        codes: (H, W) uint16, the visible area.
        pattern: (N, N) index of each photosite's color, from the visible area's corner; 1x1 for a
            sensor without a color filter.
        letters: names of the colors, by index; "" where there is no filter.
        black: sensor code at zero light, for each index of a color.
        white: sensor code at saturation.
        gains: of white balance, as shot and for daylight: red, green, blue.
        matrix: (3, 3) XYZ to camera for D65; zeros where LibRaw knows none.
        crop: (top, left) of the visible area.
        flip: LibRaw's: bit 0 mirrors columns, bit 1 rows, bit 2 swaps both axes first.
        other, lens: as rawpy has them.
    """

    codes: NDArray[np.uint16]
    pattern: NDArray[np.integer[Any]]
    letters: str
    black: tuple[float, ...]
    white: float
    gains: tuple[tuple[float, ...], ...]
    matrix: NDArray[np.float64]
    crop: tuple[int, int]
    flip: int
    other: Any
    lens: Any

    def differing(self, again: Unpacked) -> NDArray[np.bool_]:
        """(H, W): where another decode gave another code."""
        if self.codes.shape != again.codes.shape:
            return np.ones(self.codes.shape, bool)
        return np.not_equal(self.codes, again.codes)

    @property
    def levels(self) -> tuple[object, ...]:
        """What LibRaw measures or computes from pixels beside the visible ones."""
        return self.black, self.white, self.gains


def unpack(data: bytes, kind: str, name: object) -> Unpacked:
    """Decodes a raw file of a maker's own format.

    Args:
        data: the whole file.
        kind: as :func:`isp_meta.io.signatures.what_is` tells it.
        name: of the file, for errors.

    Raises:
        RawFileDamaged: some photosites were not decoded, or LibRaw found wrong data.
        RawFileUnsupported: three colors a pixel, or memory that cannot be made known.
        rawpy.LibRawFileUnsupportedError: LibRaw knows no such format or camera.
    """
    with _lock:
        if not _poison_works():
            raise unsupported(
                name,
                "a maker's raw file where memory is not glibc's, for what LibRaw leaves undecoded "
                "could not be told",
                "run without LD_PRELOAD, or convert it to DNG",
            )
        first, doubtful = _unpack(data, name, _POISONS[0])
        # Codes of two bytes may be read straight into the picture's memory and changed there.
        if not (doubtful or kind not in _BY_VALUE or len(data) >= 2 * first.codes.size):
            return first
        again, _ = _unpack(data, name, _POISONS[1])
    _compare(first, again, name)
    return first


def _compare(first: Unpacked, again: Unpacked, name: object) -> None:
    wrong = first.differing(again)
    count = int(np.count_nonzero(wrong))
    if count:
        row = int(np.argmax(wrong.any(axis=1)))
        raise damaged(
            name,
            f"{count} of {wrong.size} photosites cannot be decoded, the first in row {row} of "
            f"{len(wrong)}",
        )
    if repr(first.levels) != repr(again.levels):  # some are NaN
        raise damaged(name, "the masked border, by which black is measured, cannot be decoded")


def _unpack(data: bytes, name: object, poison: int) -> tuple[Unpacked, bool]:
    """One decode in memory that is filled with a byte; whether that is still found somewhere."""
    with _silence() as said, _poisoned(poison):
        try:
            with rawpy.imread(BytesIO(data)) as raw:
                if raw.raw_type != rawpy.RawType.Flat:
                    raise unsupported(
                        name, "three colors at every pixel, which the camera made", LINEAR_DNG
                    )
                return _taken(raw), bool((raw.raw_image == 0x101 * poison).any())
        except (RawFileError, rawpy.LibRawFileUnsupportedError):
            raise
        except (rawpy.LibRawUnsufficientMemoryError, rawpy.LibRawTooBigError, MemoryError) as error:
            raise damaged(name, f"it claims a picture beyond {LIBRAW}'s memory limit") from error
        except rawpy.LibRawIOError as error:
            raise cut_off(name, len(data), None, "its picture") from error
        except Exception as error:  # hostile bytes lead rawpy to raise nearly anything
            place = _CORRUPTED.search(said())
            where = f" at byte {place[1]} of {len(data)}" if place else ""
            raise damaged(name, f"{LIBRAW} finds wrong data{where} ({error})") from error


def _taken(raw: Any) -> Unpacked:
    sizes = raw.sizes
    top, left = sizes.top_margin, sizes.left_margin
    pattern, letters = np.zeros((1, 1), np.uint8), ""
    if raw.num_colors > 1:
        letters = raw.color_desc.decode("ascii", "replace")
        side = range(len(raw.raw_pattern))
        pattern = np.array([[raw.raw_color(top + y, left + x) for x in side] for y in side])
        if pattern.max() >= len(letters):
            raise ValueError(f"color {pattern.max()} of {letters}")
    return Unpacked(
        codes=raw.raw_image_visible.copy(),
        pattern=pattern,
        letters=letters,
        black=tuple(float(level) for level in raw.black_level_per_channel),
        white=float(raw.white_level),
        gains=(tuple(raw.camera_whitebalance[:3]), tuple(raw.daylight_whitebalance[:3])),
        # Single precision in LibRaw; four decimals in Adobe's tables.
        matrix=raw.rgb_xyz_matrix[:3].astype(np.float64),
        crop=(top, left),
        flip=sizes.flip,
        other=raw.other,
        lens=raw.lens,
    )


@contextmanager
def _poisoned(byte: int) -> Iterator[None]:
    """Memory allocated meanwhile is filled with a byte."""
    libc = _libc()
    libc.mallopt(_M_PERTURB, byte ^ 0xFF)
    try:
        yield
    finally:
        libc.mallopt(_M_PERTURB, 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.fdopen.restype, libc.fdopen.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_char_p]
    libc.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    return libc


@functools.cache
def _poison_works() -> bool:
    """Whether allocation is glibc's: another library's may stand before it (LD_PRELOAD)."""
    libc = _libc()
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    for byte in _POISONS:
        with _poisoned(byte):
            block = libc.malloc(_PROBED)
        if not block:
            return False
        found = ctypes.string_at(block, _PROBED)
        libc.free(block)
        if found.count(byte) != _PROBED:
            return False
    return True


@contextmanager
def _silence() -> Iterator[Any]:
    """C code writes nothing to stderr meanwhile; yields a function that gives what it wrote.

    LibRaw reports wrong data by ``fprintf(stderr, …)``. Here ``stderr``, C's own variable, points
    to a file in memory. The process's file 2 stays as it is: what Python or a child process writes
    there arrives.
    """
    file, stream = _sink()
    variable = ctypes.c_void_p.in_dll(_libc(), "stderr")
    os.ftruncate(file, 0)

    def said() -> str:
        return os.pread(file, 1 << 16, 0).decode("utf-8", "replace")

    before = variable.value
    variable.value = stream
    try:
        yield said
    finally:
        variable.value = before
        with suppress(OSError):
            os.ftruncate(file, 0)


@functools.cache
def _sink() -> tuple[int, int]:
    """A file in memory and its C stream, which stays open: a thread may still hold it."""
    file = os.memfd_create("isp-meta-libraw")
    stream = _libc().fdopen(file, b"a")
    _libc().setvbuf(stream, None, _UNBUFFERED, 0)
    return file, stream

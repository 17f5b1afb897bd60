"""The kernels compiled for the CPU, as ctypes see them: structures of ``csrc``, field by field."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from isp_meta.ops.grid import grid_shape

DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}


class Grid(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_int) for name in ("height", "width", "cell", "rows", "columns")
    )

    @classmethod
    def of(cls, height: int, width: int, cell: int) -> Grid:
        return cls(height, width, min(cell, max(height, width)), *grid_shape(height, width, cell))


class LocalRBF(ctypes.Structure):
    _fields_ = (
        ("grid", Grid),
        *((name, ctypes.c_int) for name in ("guides", "neighbors", "channels")),
        ("samples", ctypes.c_int64),
        *((name, ctypes.c_double) for name in ("per_position", "per_guide", "tail", "ridge")),
        ("radial", ctypes.c_int),
    )


class Met(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("now", "guess", "truth", "weight")),
        ("colors", ctypes.c_int),
    )


class FirstGuess(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("srgb", "contrast", "told", "network")),
        *((name, ctypes.c_void_p) for name in ("cubic", "weights", "table")),
        *((name, ctypes.c_int) for name in ("height", "width", "top", "bottom", "knots")),
        *((name, ctypes.c_int) for name in ("features", "quarter_rows", "quarter_cols")),
        *((name, ctypes.c_int) for name in ("half_rows", "half_cols")),
    )


class AdaptiveFilter(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("srgb", "raw", "weights")),
        *((name, ctypes.c_double) for name in ("bright", "active")),
        *((name, ctypes.c_int) for name in ("height", "width")),
    )


class SampleBuckets(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("place", "number", "start")),
        *((name, ctypes.c_int64) for name in ("samples", "rows", "cols")),
        ("side", ctypes.c_double),
    )


class Kernels:
    """The library's functions, with tensors for pointers."""

    def __init__(self, path: str) -> None:
        self.library = ctypes.CDLL(path)

    def __call__(self, name: str, dtype: torch.dtype, *arguments: object) -> None:
        function = getattr(self.library, name)
        function.restype = ctypes.c_char_p
        converted = [
            ctypes.c_void_p(a.data_ptr())
            if isinstance(a, Tensor)
            else ctypes.c_double(a)
            if isinstance(a, float)
            else ctypes.c_int64(a)
            if type(a) is int
            else a
            for a in arguments
        ]
        error = function(DTYPES[dtype], *converted)
        if error is not None:
            raise RuntimeError(error.decode())

"""Reads big-endian fields from bytes that may be anything: checks first, then takes."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PayloadCorrupt
from ..lazily import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Reader", "as_array", "as_tensors", "tensor_field", "text_field"]


def text_field(text: str) -> bytes:
    """A string as stored: length in bytes (uint16), then UTF-8.

    Raises:
        ValueError: longer than 65,535 bytes, or not valid Unicode.
    """
    data = text.encode()
    if len(data) > 0xFFFF:
        raise ValueError(
            f"a text of {len(data)} bytes is too long, 65535 is the most: {text[:40]!r}"
        )
    return struct.pack(">H", len(data)) + data


def as_array(value: Tensor | NDArray[Any]) -> NDArray[Any]:
    """A tensor's numbers, without a copy where it is on the CPU; an array as it is."""
    if isinstance(value, np.ndarray):
        return value
    array: NDArray[Any] = value.detach().cpu().numpy()
    return array


def as_tensors(value: Any) -> Any:
    """An array as a tensor of the same memory; a dataclass with tensors for its arrays."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    held = {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
    return dataclasses.replace(value, **{name: as_tensors(part) for name, part in held.items()})


def tensor_field(value: Tensor, dtype: str) -> bytes:
    """A tensor's numbers as stored, row-major, in a NumPy layout such as ">f4"."""
    return as_array(value).astype(dtype).tobytes()


class Reader:
    """A position in some bytes.

    Args:
        data: all of the bytes.
        name: what they are, for error texts.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.place = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Raises:
            PayloadCorrupt: fewer are left.
        """
        if count > len(self.data) - self.place:
            raise PayloadCorrupt(f"{self.name} ends too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """The next fields of a :mod:`struct` layout, big-endian without padding."""
        packed = struct.Struct(">" + layout)
        return packed.unpack(self.take(packed.size))

    def text(self) -> str:
        """The next string, as :func:`text_field` wrote it."""
        try:
            return self.take(self.unpack("H")[0]).decode()
        except UnicodeDecodeError:
            raise PayloadCorrupt(f"{self.name} holds a text that is not UTF-8") from None

    def array(self, dtype: str, *shape: int) -> Any:
        """The next numbers, as :func:`tensor_field` wrote them; a float32 array."""
        layout = np.dtype(dtype)
        stored = self.take(layout.itemsize * int(np.prod(shape)))
        return np.frombuffer(stored, layout).astype(np.float32).reshape(shape)

    def finish(self) -> None:
        """Raises PayloadCorrupt where bytes are left over."""
        if self.place != len(self.data):
            raise PayloadCorrupt(f"{self.name} is {len(self.data) - self.place} bytes too long")

"""Section DPTH: the picture is one of few bits, and values are what it lacks of many."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import PayloadCorrupt
from .reader import Reader, text_field
from .steps import Steps

__all__ = ["Depth", "Recovery"]

Recovery = Literal["local-rbf", "network", "guided"]

_LINEAR = 64


@dataclass(frozen=True)
class Depth:
    """Bits that were taken from a picture, and who is to put them back.

    Attributes:
        true: bits of the picture as it was, 2 to 16.
        left: bits that it still has, 1 to ``true`` - 1.
        recovery: what puts them back best: "local-rbf", which is not trained, a "network" that
            reads the samples, or local radial-basis systems "guided" by what a network makes of the
            picture alone.
        network: name of that shipped network, or "" for "local-rbf".

    Raises:
        ValueError: a field out of range.
    """

    true: int
    left: int
    recovery: Recovery = "local-rbf"
    network: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.left < self.true <= 16:
            raise ValueError(
                f"a picture of 2 to 16 bits can keep fewer of them, at least 1: not {self.left} "
                f"of {self.true}"
            )
        if self.recovery not in get_args(Recovery):
            raise ValueError(f"recovery must be one of {', '.join(get_args(Recovery))}")
        wanted = r"" if self.recovery == "local-rbf" else r"[a-z0-9-]{1,32}"
        if not re.fullmatch(wanted, self.network):
            raise ValueError(f"{self.network!r} is no name of a network for {self.recovery}")

    @property
    def taken(self) -> int:
        """Bits that are missing."""
        return self.true - self.left

    @property
    def steps(self) -> Steps:
        """That the missing bits are stored in, as a number: exact."""
        return Steps(2**self.taken - 1, _LINEAR)

    def pack(self) -> bytes:
        """The section's bytes."""
        recovery = get_args(Recovery).index(self.recovery)
        return struct.pack(">BBB", self.true, self.left, recovery) + text_field(self.network)

    @classmethod
    def unpack(cls, data: bytes) -> Depth:
        """The inverse of :meth:`pack`.

        Raises:
            PayloadCorrupt: damaged, or out of range.
        """
        reader = Reader(data, "section DPTH of the metadata")
        true, left, recovery = reader.unpack("BBB")
        network = reader.text()
        reader.finish()
        try:
            return cls(true, left, get_args(Recovery)[recovery], network)
        except (ValueError, IndexError) as error:
            raise PayloadCorrupt(f"{reader.name} is wrong: {error}") from None

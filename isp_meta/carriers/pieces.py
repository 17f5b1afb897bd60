"""A payload cut into numbered pieces, as comments of a JPEG and chunks of a PNG hold it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import PayloadCorrupt

__all__ = ["Piece", "join"]


@dataclass(frozen=True)
class Piece:
    """One of the places that hold a payload together.

    Attributes:
        sequence: 0 for the first piece.
        count: of all pieces.
        content: of this piece; None where it is damaged.
    """

    sequence: int
    count: int
    content: bytes | None


def join(pieces: Iterable[Piece], where: str) -> bytes:
    """The payload of its pieces, in any order; equal repeats are allowed.

    Args:
        where: they were found, in the plural, for the text of an error.

    Raises:
        PayloadCorrupt: a piece is missing, damaged, or contradicts another.
    """
    contents: dict[int, bytes] = {}
    counts = set()
    for piece in pieces:
        if piece.content is None:
            raise PayloadCorrupt(f"{where} hold raw metadata that is damaged")
        counts.add(piece.count)
        if contents.setdefault(piece.sequence, piece.content) != piece.content:
            raise PayloadCorrupt(
                f"{where} hold raw metadata with two different parts {piece.sequence}"
            )
    if counts != {len(contents)} or sorted(contents) != list(range(len(contents))):
        raise PayloadCorrupt(f"{where} lack parts of the raw metadata")
    return b"".join(contents[sequence] for sequence in sorted(contents))

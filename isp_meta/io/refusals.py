"""Why a raw file is not read, in the same words everywhere: damaged, not supported, no raw file.

Each function makes the error; the caller raises it.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import NotARawFile, RawFileDamaged, RawFileUnsupported

__all__ = [
    "LINEAR_DNG",
    "TO_DNG",
    "cut_off",
    "damaged",
    "not_a_raw_file",
    "rendered_already",
    "unsupported",
    "without_layout",
]

_COPY_AGAIN = "copy it again from the camera or card"
TO_DNG = "convert it to DNG, by Adobe DNG Converter for one"
LINEAR_DNG = "convert it to linear DNG, as Adobe DNG Converter does with the option Linear"


def cut_off(name: object, have: int, need: int | None, what: str = "") -> RawFileDamaged:
    """A file that ends too early.

    Args:
        name: of the file.
        have: the number of its bytes.
        need: how many it must have at least; None: that cannot be told.
        what: lies beyond its end: "strip 3 of 8".
    """
    if need is None:
        return RawFileDamaged(
            f"{name}: cut off: {what} goes beyond the {have} bytes that are there; {_COPY_AGAIN}"
        )
    where = f"{what} is incomplete: " if what else ""
    return RawFileDamaged(
        f"{name}: cut off: {where}it has {have} of at least {need} bytes; {_COPY_AGAIN}"
    )


def damaged(name: object, what: str) -> RawFileDamaged:
    """A file with wrong bytes.

    Args:
        name: of the file.
        what: is wrong, where, and how much: "tile 2 of 6 (500 bytes) is no lossless JPEG".
    """
    return RawFileDamaged(f"{name}: damaged: {what}; {_COPY_AGAIN}")


def unsupported(name: object, what: str, remedy: str = TO_DNG) -> RawFileUnsupported:
    """A whole file of a kind that is not read.

    Args:
        name: of the file.
        what: it holds: "a mosaic of cyan, yellow, green and magenta (CYGM)".
        remedy: what helps.
    """
    return RawFileUnsupported(f"{name}: not supported: {what}; {remedy}")


def not_a_raw_file(name: object, what: str, remedy: str = "") -> NotARawFile:
    """A file that holds no raw.

    Args:
        name: of the file.
        what: it is instead: "a JPEG, already rendered".
        remedy: what helps, if anything.
    """
    return NotARawFile(f"{name}: not a raw file: {what}" + (f"; {remedy}" if remedy else ""))


def rendered_already(name: object, kind: str) -> NotARawFile:
    """A finished picture where a raw file should be.

    Args:
        name: of the file.
        kind: "JPEG".
    """
    return not_a_raw_file(name, f"{kind}, already rendered", "name the raw file it was made of")


def without_layout(name: object, what: str) -> NotARawFile:
    """A file in which a mosaic may lie, if someone says how.

    Args:
        name: of the file.
        what: is missing: "no header says which camera made it".
    """
    return NotARawFile(
        f"{name}: not a raw file: {what}; to read it as one, say how its codes lie in it, "
        f"in a file {Path(str(name)).name}.toml beside it for one",
        remedy="layout=RawLayout(width, height, …)",
    )

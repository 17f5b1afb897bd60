"""Reading a whole file, or saying why not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..errors import IspMetaError, RawFileError

__all__ = ["check_source", "read_bytes"]

_LARGEST_FILE = 1 << 31


def check_source(path: str | os.PathLike[str], error: type[IspMetaError] = RawFileError) -> None:
    """Refuses a file to read before the work begins.

    Args:
        path: of the file.
        error: what to raise; by default as for a raw file.

    Raises:
        IspMetaError: of that type: missing, a folder, empty, too large or not readable.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise error(f"{path}: is a folder; name a file in it")
        if file.exists() and not file.is_file():
            raise error(f"{path}: is a device or pipe; name a file")
        size = file.stat().st_size
        if not os.access(file, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except FileNotFoundError:
        raise error(f"{path}: there is no such file; check the name") from None
    except (OSError, ValueError) as failure:
        raise error(_unreadable(path, failure)) from failure
    if size > _LARGEST_FILE:
        raise error(f"{path}: has {size} bytes, far more than a picture")
    if not size:
        raise error(f"{path}: is empty; copy it again from where it came")


def read_bytes(path: str | os.PathLike[str], error: type[IspMetaError] = RawFileError) -> bytes:
    """The whole of a file of at most 2 GiB.

    Args, Raises: as of :func:`check_source`.
    """
    check_source(path, error)
    try:
        return Path(path).read_bytes()
    except OSError as failure:
        raise error(_unreadable(path, failure)) from failure


def _unreadable(path: str | os.PathLike[str], failure: OSError | ValueError) -> str:
    cause = getattr(failure, "strerror", None) or failure
    return f"{path}: cannot read it ({cause}); check its permissions"

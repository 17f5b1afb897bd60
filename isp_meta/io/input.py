"""Reading a whole file, or saying why not."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import IspMetaError, RawFileError

__all__ = ["read_bytes"]

_LARGEST_FILE = 1 << 31


def read_bytes(path: str | os.PathLike[str], error: type[IspMetaError] = RawFileError) -> bytes:
    """The whole of a file of at most 2 GiB.

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
        if size > _LARGEST_FILE:
            raise error(f"{path}: has {size} bytes, far more than a picture")
        data = file.read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: there is no such file; check the name") from None
    except (OSError, ValueError) as failure:
        cause = getattr(failure, "strerror", None) or failure
        raise error(f"{path}: cannot read it ({cause}); check its permissions") from failure
    if not data:
        raise error(f"{path}: is empty; copy it again from where it came")
    return data

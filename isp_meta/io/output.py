"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError
from .replaced import take_over

__all__ = ["UNFINISHED", "check_target", "write_atomic"]

UNFINISHED = f".{'[0-9a-f]' * 16}.tmp"
"""Pattern of the names that files have while they are written: what is left after a kill."""

# Filesystems without hard links (FAT, exFAT, some network shares) answer os.link with one of these.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

_CAUSES = {
    errno.ENOSPC: "the disk is full; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EFBIG: "the file is too large for this disk; write elsewhere",
    errno.EACCES: "no permission; choose another folder",
    errno.EPERM: "no permission; choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; make it first",
    errno.ENOTDIR: "its folder is a file; choose another folder",
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
}


def check_target(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    sources: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Refuses a file to write before the work is done, not after it.

    Args:
        path: target.
        overwrite: it may exist.
        sources: files that it is made from; none of them may be replaced by it.

    Raises:
        OutputError: the target exists, is a folder, a device or a source, or its folder is missing
            or closed to this user.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        if not stat.S_ISDIR(target.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission")
        exists = target.exists()
        is_source = exists and any(target.samefile(s) for s in sources if Path(s).exists())
    except OSError as error:
        raise _refusal(path, error) from error
    if not exists:
        return
    if not target.is_file():
        raise OutputError(f"{path}: is a device or pipe; name a file")
    if is_source:
        raise OutputError(f"{path}: is the file that it would be made from; choose another name")
    if not overwrite:
        raise OutputError(f"{path}: exists already", remedy="overwrite")


def _refusal(path: str | os.PathLike[str], error: OSError) -> OutputError:
    cause = _CAUSES.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"{path}: cannot write, {cause}")


def write_atomic(
    path: str | os.PathLike[str],
    data: bytes | Callable[[BinaryIO], object],
    *,
    overwrite: bool = False,
    modified: int | None = None,
) -> None:
    """Writes a file so that it is there completely or not at all.

        data ─▶ temporary file beside the target ─▶ fsync ─▶ link or rename onto the target

    Args:
        path: target; a symbolic link is followed.
        data: the bytes, or a function that writes them to the binary file it is given.
        overwrite: replaces an existing file, keeping its owner, permissions and extended attributes
            where that is permitted; its other hard links keep the old contents. Otherwise a file
            that exists stays as it is, even one that appears while this one is being written.
        modified: time of modification that the file gets, nanoseconds since 1970; default now.

    Raises:
        OutputError: the target exists, is a folder, or cannot be written; names file and cause.
            What was there before is untouched, and no temporary file is left.
    """
    check_target(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        _fill(temporary, data, target, modified)
        _publish(temporary, target, overwrite)
        _sync_folder(target.parent)
    except FileExistsError:
        raise OutputError(f"{path}: exists already", remedy="overwrite") from None
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _fill(
    temporary: Path, data: bytes | Callable[[BinaryIO], object], target: Path, modified: int | None
) -> None:
    # 0o666 leaves the permissions of a new file to the umask, unlike tempfile's 0o600.
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "w+b") as file:
        take_over(descriptor, target)
        if callable(data):
            data(file)
        else:
            file.write(data)
        file.flush()
        if modified is not None:
            os.utime(descriptor, ns=(modified, modified))
        os.fsync(descriptor)


def _publish(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
        return
    try:
        # A link, unlike a rename, fails if somebody else made the target meanwhile.
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        temporary.replace(target)


def _sync_folder(folder: Path) -> None:
    # Makes the new name survive a power cut; not every filesystem allows it, and the data is safe.
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with contextlib.suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)

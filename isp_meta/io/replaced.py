"""What belongs to a file beside its contents, for the file that takes its place."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

__all__ = ["take_over"]

# A capability is a program's, and holds for the contents that it was given to.
_NOT_TAKEN = {"security.capability"}
_ACCESS_LIST = "system.posix_acl_access"


def take_over(descriptor: int, path: Path) -> None:
    """Gives an open file the owner, group, permissions and extended attributes of another.

    What the system does not permit is passed over. A file that cannot have the other's group grants
    its own group no more than everybody.

    Args:
        descriptor: of the file, its own owner's. path: the other file; nothing happens where there
            is none.
    """
    try:
        before = path.stat()
    except OSError:
        return
    mode = stat.S_IMODE(before.st_mode)
    for owner in (before.st_uid, -1):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, owner, before.st_gid)
            break
    now = os.fstat(descriptor)
    same_group = now.st_gid == before.st_gid
    if now.st_uid != before.st_uid:
        mode &= ~stat.S_ISUID
    if not same_group:
        mode = mode & ~(stat.S_ISGID | stat.S_IRWXG) | (mode & stat.S_IRWXO) << 3
    os.fchmod(descriptor, mode)
    _copy_attributes(descriptor, path, _NOT_TAKEN if same_group else _NOT_TAKEN | {_ACCESS_LIST})


def _copy_attributes(descriptor: int, path: Path, but: set[str]) -> None:
    names: list[str] = []
    with contextlib.suppress(OSError):  # a filesystem without
        names = os.listxattr(path)
    for name in set(names) - but:
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(path, name))

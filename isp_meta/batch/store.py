"""Trees of files, on a disk or wherever fsspec reaches: names are relative, with slashes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from .. import io
from ..errors import BatchError, ImageFileError, OutputError

__all__ = ["LocalStore", "RemoteStore", "Store", "digest", "open_store"]

_LEFT_OVER = re.compile(r"\.[0-9a-f]{16}\.tmp")


class Store(ABC):
    """A tree of files.

    Attributes:
        url: path or URL that opens it, in any process.
    """

    url: str

    @abstractmethod
    def walk(self, skip: str = "") -> Iterator[tuple[str, str]]:
        """Names of all files that are not hidden, and why one is not to be read, or "".

        A folder that is not to be read is there, too, with a slash at the end.

        Args:
            skip: a folder in it that is passed over, as :meth:`inside` gives it.

        Raises:
            BatchError: there is no such folder.
        """

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none.

        Raises:
            ImageFileError: it cannot be read, or lies outside the tree.
        """

    @abstractmethod
    def write(self, name: str, data: bytes, *, overwrite: bool = False) -> None:
        """Writes a file whole or not at all, and makes the folders that it needs.

        Raises:
            OutputError: it exists, cannot be written, or would lie outside the tree.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""

    @abstractmethod
    def append(self, name: str, line: bytes) -> bool:
        """Adds a line to a file, for good; False where the store cannot."""

    @abstractmethod
    def list(self, folder: str) -> list[str]:
        """Names of the files in a folder; none where there is no such folder."""

    @abstractmethod
    def inside(self, other: Store) -> str:
        """This tree's place in another, or "" where it has none."""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps others from writing here at the same time, where the store can."""
        yield


def digest(*parts: bytes | None) -> str:
    """SHA-256 in hexadecimal of each part, joined by "+"; "" where there is none of them."""
    if all(part is None for part in parts):
        return ""
    return "+".join("" if part is None else hashlib.sha256(part).hexdigest() for part in parts)


class LocalStore(Store):
    """A folder. No symbolic link leads out of it.

    Args:
        root: the folder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(os.path.realpath(root))
        self.url = str(self.root)

    def __str__(self) -> str:
        return str(self.root)

    def walk(self, skip: str = "") -> Iterator[tuple[str, str]]:
        """See :class:`Store`."""
        if not self.root.is_dir():
            raise BatchError(f"{self.root}: there is no such folder; check the name")
        failures: list[OSError] = []
        for place, folders, files in os.walk(self.root, onerror=failures.append):
            here = Path(place).relative_to(self.root)
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and (here / name).as_posix() != skip
            )
            for name in folders:
                if (Path(place) / name).is_symlink() and not self._holds(Path(place) / name):
                    yield f"{(here / name).as_posix()}/", "is a link out of the tree; not followed"
            for name in sorted(files):
                if not name.startswith("."):
                    path = Path(place) / name
                    out = "" if self._holds(path) else "is a link out of the tree; not followed"
                    yield (here / name).as_posix(), out
        for failure in failures:
            name = Path(failure.filename).relative_to(self.root).as_posix()
            yield f"{name}/", f"cannot be read ({failure.strerror}); check its permissions"

    def _holds(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self.root)

    def read(self, name: str) -> bytes | None:
        """See :class:`Store`."""
        path = self.root / name
        if not self._holds(path):
            raise ImageFileError(f"{name}: is a link out of the tree; not followed")
        if not os.path.lexists(path):
            return None
        try:
            return io.read_bytes(path, ImageFileError)
        except ImageFileError as error:
            raise ImageFileError(str(error).replace(str(path), name)) from error

    def write(self, name: str, data: bytes, *, overwrite: bool = False) -> None:
        """See :class:`Store`."""
        path = self.root / name
        if not self._holds(path.parent) or path.is_symlink():
            raise OutputError(f"{path}: a link is in its place; not followed")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made, {error.strerror}") from error
        io.write_atomic(path, data, overwrite=overwrite)

    def remove(self, name: str) -> None:
        """See :class:`Store`."""
        (self.root / name).unlink(missing_ok=True)

    def append(self, name: str, line: bytes) -> bool:
        """See :class:`Store`."""
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{path}: cannot write, {error.strerror}") from error
        return True

    def list(self, folder: str) -> list[str]:
        """See :class:`Store`."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(f"{folder}/{path.name}" for path in (self.root / folder).iterdir())
        return []

    def inside(self, other: Store) -> str:
        """See :class:`Store`."""
        if isinstance(other, LocalStore) and self.root.is_relative_to(other.root):
            return self.root.relative_to(other.root).as_posix()
        return ""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See :class:`Store`. Also sweeps away what a killed program was writing."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root, os.O_RDONLY)
        except OSError as error:
            raise OutputError(f"{self.root}: cannot be used, {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                os.close(descriptor)
                raise BatchError(f"{self.root}: another batch writes there; wait for it") from None
            # Some network shares have no locks.
        try:
            for place, _folders, files in os.walk(self.root):
                for name in filter(_LEFT_OVER.fullmatch, files):
                    with contextlib.suppress(OSError):
                        (Path(place) / name).unlink()
            yield
        finally:
            os.close(descriptor)


class RemoteStore(Store):
    """Wherever fsspec reaches: a bucket, a server, memory.

    Args:
        files: the file system. root: a folder in it. url: that opens both.
    """

    def __init__(self, files: Any, root: str, url: str) -> None:
        self.files, self.root, self.url = files, root.rstrip("/"), url

    def __str__(self) -> str:
        return self.url

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def walk(self, skip: str = "") -> Iterator[tuple[str, str]]:
        """See :class:`Store`."""
        if not self.files.isdir(self.root):
            raise BatchError(f"{self.root}: there is no such folder; check the name")
        folders = [self.root]
        while folders:
            for entry in sorted(self.files.ls(folders.pop(), detail=True), key=lambda e: e["name"]):
                path = entry["name"].rstrip("/")
                name = path.removeprefix(f"{self.root}/")
                if PurePosixPath(name).name.startswith(".") or name == skip:
                    continue
                if entry.get("islink"):
                    yield f"{name}/" if self.files.isdir(path) else name, "is a link; not followed"
                elif entry["type"] == "directory":
                    folders.append(path)
                else:
                    yield name, ""

    def read(self, name: str) -> bytes | None:
        """See :class:`Store`."""
        try:
            return bytes(self.files.cat_file(self._path(name)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ImageFileError(f"{name}: cannot read it ({error})") from error

    def write(self, name: str, data: bytes, *, overwrite: bool = False) -> None:
        """See :class:`Store`. Most of these know no way to write only where nothing is yet."""
        path = self._path(name)
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
        try:
            if not overwrite and self.files.exists(path):
                raise OutputError(f"{name}: exists already", remedy="overwrite")
            self.files.makedirs(folder, exist_ok=True)
            self.files.pipe_file(temporary, data)
            self.files.mv(temporary, path)
        except OSError as error:
            raise OutputError(f"{name}: cannot write, {error}") from error

    def remove(self, name: str) -> None:
        """See :class:`Store`."""
        with contextlib.suppress(FileNotFoundError):
            self.files.rm_file(self._path(name))

    def append(self, name: str, line: bytes) -> bool:
        """See :class:`Store`: buckets hold whole objects."""
        return False

    def list(self, folder: str) -> list[str]:
        """See :class:`Store`."""
        self.files.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            found = self.files.ls(self._path(folder), detail=False)
            return sorted(f"{folder}/{path.rpartition('/')[2]}" for path in found)
        return []

    def inside(self, other: Store) -> str:
        """See :class:`Store`."""
        if isinstance(other, RemoteStore) and self.root.startswith(f"{other.root}/"):
            return self.root.removeprefix(f"{other.root}/")
        return ""


def open_store(place: str | os.PathLike[str]) -> Store:
    """The tree at a path or a URL such as ``s3://bucket/photos``.

    Raises:
        BatchError: fsspec cannot open the URL; it may need a package for it.
    """
    text = os.fspath(place)
    if "://" not in text:
        return LocalStore(text)
    if text.startswith("file://"):
        return LocalStore(text.removeprefix("file://"))
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(text)
    except (ImportError, ValueError, OSError) as error:
        raise BatchError(f"{text}: cannot be opened, {error}") from error
    return RemoteStore(files, root, text)

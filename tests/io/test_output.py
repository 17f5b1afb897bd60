from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from isp_meta.errors import OutputError
from isp_meta.io import check_target, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_writes_bytes_and_functions(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"one")
    write_atomic(tmp_path / "b", lambda file: file.write(b"two"))
    assert (tmp_path / "a").read_bytes() == b"one"
    assert (tmp_path / "b").read_bytes() == b"two"
    assert names(tmp_path) == ["a", "b"]


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_existing_file_stays_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o604)
    with pytest.raises(OutputError, match=r"a: exists already; pass overwrite=True"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomic(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o604


def test_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def slow(file: BinaryIO) -> None:
        file.write(b"mine")
        path.write_bytes(b"theirs")

    with pytest.raises(OutputError, match="exists already"):
        write_atomic(path, slow)
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_full_disk_leaves_nothing_behind(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "a"
    if overwrite:
        path.write_bytes(b"old")

    def fill(file: BinaryIO) -> None:
        file.write(b"begun")
        with Path("/dev/full").open("wb") as full:  # answers every write with ENOSPC
            full.write(b"x" * 100_000)

    with pytest.raises(OutputError, match="disk is full"):
        write_atomic(path, fill, overwrite=overwrite)
    assert names(tmp_path) == (["a"] if overwrite else [])
    assert not overwrite or path.read_bytes() == b"old"


def test_failure_of_the_function_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"begun")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", fail)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [("none/a", "folder does not exist"), ("file/a", "is a file"), ("folder", "is a folder")],
)
def test_impossible_targets(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=text):
        write_atomic(tmp_path / path, b"new", overwrite=True)
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="too long"):
        write_atomic(tmp_path / ("a" * 300), b"")
    assert names(tmp_path) == []


def test_no_permission() -> None:
    with pytest.raises(OutputError, match=r"no permission|read-only"):
        write_atomic("/sys/isp_meta", b"")


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_atomic(tmp_path / "link", b"new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_filesystem_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    with pytest.raises(OutputError, match="exists already"):
        write_atomic(tmp_path / "a", lambda file: file.write(b"newer"))
    assert names(tmp_path) == ["a"]


# --- what belongs to a file that is replaced


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.xdg.tags", b"stars")
    except OSError as error:
        pytest.skip(f"{tmp_path} keeps no extended attributes: {error.strerror}")
    os.setxattr(path, "user.empty", b"")
    return path


def test_extended_attributes_stay(tagged: Path) -> None:
    write_atomic(tagged, b"new", overwrite=True)
    assert tagged.read_bytes() == b"new"
    kept = {name: os.getxattr(tagged, name) for name in os.listxattr(tagged)}
    assert kept == {"user.xdg.tags": b"stars", "user.empty": b""}
    write_atomic(tagged.with_name("b"), b"new")
    assert os.listxattr(tagged.with_name("b")) == []


def test_an_attribute_that_is_not_permitted_stops_nothing(
    tagged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.setxattr

    def refuse(file: int, name: str, value: bytes) -> None:
        if name == "user.empty":
            raise OSError(errno.EPERM, "not permitted")
        real(file, name, value)

    monkeypatch.setattr(os, "setxattr", refuse)
    write_atomic(tagged, b"new", overwrite=True)
    assert tagged.read_bytes() == b"new"
    assert os.listxattr(tagged) == ["user.xdg.tags"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_owner_and_group_stay(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.chown(path, 12345, 23456)
    write_atomic(path, b"new", overwrite=True)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (12345, 23456, 0o640)


@pytest.mark.parametrize(
    ("refused", "owner", "mode"), [((), 12345, 0o6764), ((12345,), None, 0o2764)]
)
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_owner_that_is_not_permitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: tuple[int], owner: int, mode: int
) -> None:
    path, real = tmp_path / "a", os.fchown
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    path.chmod(0o6764)

    def fchown(file: int, uid: int, gid: int) -> None:
        if uid in refused:
            raise PermissionError(errno.EPERM, "not permitted")
        real(file, uid, gid)

    monkeypatch.setattr(os, "fchown", fchown)
    write_atomic(path, lambda file: file.write(b"new"), overwrite=True)
    found = path.stat()
    expected = os.geteuid() if owner is None else owner
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (expected, 23456, mode)


def test_a_group_that_is_not_permitted_gets_no_more_than_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o664)
    real = os.stat

    def foreign(file: object, **options: object) -> os.stat_result:
        found = list(real(file, **options))
        found[5] += 1 if file == path else 0  # its group
        return os.stat_result(found)

    def refuse(*_arguments: int) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr("isp_meta.io.replaced.os.stat", foreign)
    monkeypatch.setattr(os, "fchown", refuse)
    write_atomic(path, b"new", overwrite=True)
    monkeypatch.undo()
    assert path.stat().st_mode & 0o7777 == 0o644


def test_time_of_modification(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"new", modified=1_234_567_890_123_456_789)
    assert path.stat().st_mtime_ns == 1_234_567_890_123_456_789


def test_other_hard_links_keep_the_old_contents(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"old")
    other.hardlink_to(path)
    write_atomic(path, b"new", overwrite=True)
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old")


def test_closed_folder_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(OutputError, match="a: cannot write, no permission"):
        check_target(tmp_path / "a")
    assert names(tmp_path) == []

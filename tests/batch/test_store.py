from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from isp_meta.batch.store import LocalStore, RemoteStore, Store, digest, open_store
from isp_meta.errors import BatchError, ImageFileError, OutputError


@pytest.fixture(params=["folder", "local://", "memory://"])
def store(request, tmp_path) -> Store:
    places = {"folder": tmp_path / "tree", "local://": f"local://{tmp_path}/tree"}
    store = open_store(places.get(request.param, f"memory:/{tmp_path}"))
    assert isinstance(store, LocalStore if request.param == "folder" else RemoteStore)
    return store


def test_what_is_written_is_read_and_found(store):
    store.write("b/c/x.dng", b"one")
    store.write("a.txt", b"two")
    store.write(".hidden/x", b"three")
    store.write("b/.x", b"four")
    assert list(store.walk()) == [("a.txt", ""), ("b/c/x.dng", "")]
    assert list(store.walk(skip="b/c")) == [("a.txt", "")]
    assert store.list(".hidden") == [".hidden/x"]
    assert store.list("none") == []
    assert store.read("b/c/x.dng") == b"one"
    assert store.read("none") is None
    assert open_store(store.url).read("a.txt") == b"two"


def test_only_overwrite_replaces(store):
    store.write("a", b"one")
    with pytest.raises(OutputError, match="exists already"):
        store.write("a", b"two")
    assert store.read("a") == b"one"
    store.write("a", b"two", overwrite=True)
    assert store.read("a") == b"two"
    store.remove("a")
    store.remove("a")
    assert store.read("a") is None
    assert list(store.walk()) == []


def test_a_tree_inside_another(store):
    store.write("b/c/x", b"one")
    other = open_store(f"{store.url}/b")
    assert other.inside(store) == "b"
    assert store.inside(other) == ""


def test_no_such_tree(store):
    with pytest.raises(BatchError, match="there is no such folder"):
        list(store.walk())


def test_no_link_leads_out(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "tree"
    for folder in (outside, inside):
        folder.mkdir()
        (folder / "x").write_bytes(folder.name.encode())
    (inside / "file").symlink_to(outside / "x")
    (inside / "folder").symlink_to(outside)
    (inside / "fine").symlink_to("x")
    (inside / "up").symlink_to("..")
    store = LocalStore(inside)
    refusal = "is a link out of the tree; not followed"
    assert sorted(store.walk()) == [
        *(("file", refusal), ("fine", ""), ("folder/", refusal), ("up/", refusal), ("x", "")),
    ]
    assert store.read("fine") == b"tree"
    for name in ("file", "folder/x", "../outside/x"):
        with pytest.raises(ImageFileError, match="out of the tree"):
            store.read(name)
    for name in ("file", "folder/new", "folder/sub/new", "fine", "../new"):
        with pytest.raises(OutputError, match="not followed"):
            store.write(name, b"changed", overwrite=True)
    assert (outside / "x").read_bytes() == b"outside"
    assert [path.name for path in outside.iterdir()] == ["x"]


def test_links_elsewhere_are_not_followed(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to("..")
    store = open_store(f"local://{tmp_path}/tree")
    assert list(store.walk()) == [("link/", "is a link; not followed")]


def test_one_batch_at_a_time(tmp_path):
    store = LocalStore(tmp_path / "out")
    with store.lock():
        with pytest.raises(BatchError, match="out: another batch writes there"), store.lock():
            pass
        with LocalStore(tmp_path / "other").lock():
            pass
    with store.lock():
        pass


def test_what_killed_programs_left_is_swept(tmp_path):
    folder = tmp_path / "out" / "b"
    folder.mkdir(parents=True)
    kept = {"x.tmp", ".x.tmp", ".0123456789abcdef.tmp.x"}
    for name in (*kept, ".0123456789abcdef.tmp"):
        (folder / name).write_bytes(b"x")
    with LocalStore(tmp_path / "out").lock():
        assert {path.name for path in folder.iterdir()} == kept


def test_lines_are_added(tmp_path):
    store = LocalStore(tmp_path)
    assert store.append("a/b", b"one\n")
    assert store.append("a/b", b"two\n")
    assert store.read("a/b") == b"one\ntwo\n"
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match="cannot write"):
        store.append("file/b", b"one\n")
    with pytest.raises(OutputError, match="cannot be made"):
        store.write("file/b", b"one\n")


def test_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_store("x").url == str(tmp_path / "x")
    assert open_store(f"file://{tmp_path}/x").url == str(tmp_path / "x")
    assert open_store(Path("x")).url == str(tmp_path / "x")
    with pytest.raises(BatchError, match=r"none://x: cannot be opened, .*none"):
        open_store("none://x")


def test_reading_says_what_is_wrong(tmp_path):
    store = LocalStore(tmp_path)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for name, text in (("empty", "is empty"), ("pipe", "is a device or pipe")):
        with pytest.raises(ImageFileError, match=f"^{name}: {text}"):
            store.read(name)


def test_digests():
    one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert digest(b"one") == one
    assert digest(b"one", b"one") == f"{one}+{one}"
    assert digest(b"one", None) == f"{one}+"
    assert digest(None, None) == digest() == ""


@pytest.fixture(autouse=True)
def _forget_memory():
    yield
    fsspec.filesystem("memory").store.clear()

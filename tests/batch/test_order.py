"""One file from tree to tree, and everything that may have happened before."""

from __future__ import annotations

import dataclasses

import pytest

from isp_meta.batch import Embed, Recover, Verify
from isp_meta.batch.manifest import MANIFEST, Row, claim_name
from isp_meta.batch.store import LocalStore

from .conftest import EMBED, QUICK

SIDECAR = Embed(dataclasses.replace(QUICK, carrier="sidecar"))


def statuses(rows) -> list[str]:
    return [row.status for row in rows.values()]


def claims(tmp_path) -> list:
    return list((tmp_path / "out/.isp-meta-batch/claims").iterdir())


def test_there_and_back(tree, tmp_path, do):
    tree("a.dng", "b/c.dng")
    assert statuses(do()) == ["done", "done"]
    assert statuses(do(Verify(), "out", "checked")) == ["done", "done"]
    assert statuses(do(Recover("npy"), "out", "back")) == ["done", "done"]
    assert (tmp_path / "back/b/c-recovered.npy").is_file()
    assert statuses(do(Verify(), "out", "checked")) == ["skipped", "skipped"]
    assert claims(tmp_path) == []


def test_what_is_done_is_skipped(tree, tmp_path, do):
    tree("a.dng", "b.dng")
    first = do()
    before = {path: path.stat().st_ino for path in (tmp_path / "out").glob("*.jpg")}
    again = do()
    assert statuses(again) == ["skipped", "skipped"]
    assert {path: path.stat().st_ino for path in before} == before
    assert dataclasses.replace(again["a.dng"], status="done") == first["a.dng"]
    assert (tmp_path / "out" / MANIFEST).read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("job", [EMBED, SIDECAR])
def test_what_changed_is_done_again(tree, tmp_path, raw_bytes, do, job):
    folder = tree("a.dng", "b.dng", "c.dng")
    do(job)
    results = tmp_path / "out"
    (folder / "a.dng").write_bytes(raw_bytes[4])
    (results / "b.jpg").unlink()
    assert statuses(do(job)) == ["done", "done", "skipped"]
    assert statuses(do(Embed(dataclasses.replace(job.options, quality=80)))) == ["done"] * 3
    assert statuses(do(job)) == ["done"] * 3


def test_a_file_that_no_batch_made_is_kept(tree, tmp_path, do):
    tree("a.dng")
    (tmp_path / "out").mkdir()
    result = tmp_path / "out/a.jpg"
    result.write_bytes(b"mine")
    row = do()["a.dng"]
    assert (row.status, row.kind) == ("failed", "OutputError")
    assert (row.error, row.remedy) == ("a.dng: a.jpg exists already", "overwrite")
    assert result.read_bytes() == b"mine"
    assert statuses(do(overwrite=True)) == ["done"]
    result.write_bytes(result.read_bytes() + b"edited")
    assert statuses(do()) == ["failed"]
    assert result.read_bytes().endswith(b"edited")


def test_a_sidecar_that_no_batch_made_is_kept(tree, tmp_path, do):
    tree("a.dng")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.jpg.ispmeta").write_bytes(b"mine")
    assert statuses(do(SIDECAR)) == ["failed"]
    assert [path.name for path in (tmp_path / "out").glob("a*")] == ["a.jpg.ispmeta"]
    assert statuses(do(SIDECAR, overwrite=True)) == ["done"]
    assert statuses(do(Verify(), "out", "checked")) == ["done"]


@pytest.mark.parametrize("job", [EMBED, SIDECAR])
@pytest.mark.parametrize("lost", [[], ["a.jpg"], ["a.jpg", "a.jpg.ispmeta"]])
def test_killed_between_claim_and_manifest(tree, tmp_path, do, job, lost):
    """The worker was killed before, while or after it wrote; nobody added a line."""
    tree("a.dng")
    row = do(job)["a.dng"]
    out = LocalStore(tmp_path / "out")
    out.remove(MANIFEST)
    out.write(claim_name("a.dng"), row.to_json().encode())
    for name in lost:
        out.remove(name)
    assert statuses(do(job)) == ["done" if lost else "skipped"]
    assert statuses(do(Verify(), "out", "checked")) == ["done"]
    assert claims(tmp_path) == []
    assert statuses(do(job)) == ["skipped"]
    assert out.read(MANIFEST).count(b"\n") == 1


def test_killed_while_its_own_result_is_replaced(tree, tmp_path, do):
    tree("a.dng")
    old = do()["a.dng"]
    better = Embed(dataclasses.replace(QUICK, quality=99))
    result = tmp_path / "out/a.jpg"
    before = result.read_bytes()
    new = do(better)["a.dng"]
    assert new.replaced == old.output
    result.write_bytes(before)
    out = LocalStore(tmp_path / "out")
    out.write(MANIFEST, old.to_json().encode() + b"\n", overwrite=True)
    out.write(claim_name("a.dng"), new.to_json().encode())
    assert statuses(do(better)) == ["done"]


def test_a_second_worker_finds_what_the_first_one_wrote(tree, tmp_path, do, monkeypatch):
    """The first was killed before it could say so, in the same run."""
    tree("a.dng")
    row = do()["a.dng"]
    out = LocalStore(tmp_path / "out")
    out.remove(MANIFEST)

    def list_nothing(_store, _folder):
        out.write(claim_name("a.dng"), row.to_json().encode())
        return []

    monkeypatch.setattr(LocalStore, "list", list_nothing)
    before = (tmp_path / "out/a.jpg").stat().st_ino
    again = do()["a.dng"]
    assert (again.status, again.worker) == ("done", row.worker)
    assert (tmp_path / "out/a.jpg").stat().st_ino == before
    assert out.read(MANIFEST).count(b"\n") == 1


def test_failures_are_rows_and_tried_again(tree, tmp_path, raw_bytes, do):
    folder = tree("a.dng", "b.dng")
    (folder / "a.dng").write_bytes(raw_bytes[0][:900])
    (folder / "c.dng").symlink_to("/etc/passwd")
    rows = do()
    assert [row.kind for row in rows.values()] == ["RawFileDamaged", "", "ImageFileError"]
    assert rows["c.dng"].error == "c.dng: is a link out of the tree; not followed"
    (folder / "a.dng").write_bytes(raw_bytes[0])
    assert statuses(do()) == ["done", "skipped", "failed"]


def test_a_result_that_cannot_be_written_leaves_nothing(tree, tmp_path, do):
    tree("b/a.dng")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b").write_bytes(b"a file")
    (row,) = do().values()
    assert (row.status, row.kind) == ("failed", "OutputError")
    assert claims(tmp_path) == []


def test_between_trees_of_urls(tree, tmp_path, do):
    folder = tree("a.dng", "b/c.dng")
    (folder / "b/c.dng").write_bytes(b"text")
    assert statuses(do(scheme="local://")) == ["done", "failed"]
    assert statuses(do(scheme="local://")) == ["skipped", "failed"]
    assert claims(tmp_path) == []
    rows = map(Row.from_json, (tmp_path / "out" / MANIFEST).read_bytes().splitlines())
    assert [row.name for row in rows if row.status == "done"] == ["a.dng"]
    assert statuses(do()) == ["skipped", "failed"]
    assert statuses(do(Verify(), "out", "checked", scheme="local://")) == ["done"]

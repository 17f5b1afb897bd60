from __future__ import annotations

import csv
import dataclasses
import json

import pytest

from isp_meta.batch import Row
from isp_meta.batch.manifest import ERRORS, MANIFEST, Manifest, claim_name
from isp_meta.batch.store import LocalStore, open_store
from isp_meta.errors import BatchError

ROW = Row("b/\udcff a.dng", "done", "b/a.jpg", "1", "2", "", "3", 0.5, 1.25, worker=7)


def test_rows_are_lines_of_ascii():
    text = ROW.to_json()
    assert text.isascii()
    assert "\n" not in text
    assert Row.from_json(text) == ROW


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"name": "a"}', '{"name": 1, "status": ""}'])
def test_other_lines_are_none(text):
    with pytest.raises(ValueError, match=r".*"):
        Row.from_json(text)


@pytest.fixture(params=["{}/out", "local://{}/out"])
def store(request, tmp_path):
    return open_store(request.param.format(tmp_path))


def test_rows_are_known_later(store):
    manifest = Manifest(store)
    other = Row("b.dng", "failed", kind="RawFileError", error="b.dng: is, \n odd")
    for row in (ROW, other, Row("c.dng", "skipped")):
        manifest.add(row)
    manifest.close([other, Row("\udcff", "failed", error="x")])
    assert Manifest(store).known == {ROW.name: ROW}
    lines = store.read(MANIFEST).splitlines()
    assert [Row.from_json(line) for line in lines] == [ROW, other]
    table = list(csv.reader(store.read(ERRORS).decode().splitlines(keepends=True)))
    assert table == [
        ["name", "kind", "error"],
        ["b.dng", "RawFileError", "b.dng: is, \n odd"],
        ["\\udcff", "", "x"],
    ]


def test_a_line_is_on_the_disk_at_once(tmp_path):
    store = LocalStore(tmp_path)
    store.write(claim_name(ROW.name), ROW.to_json().encode())
    Manifest(store).add(ROW)
    assert Manifest(LocalStore(tmp_path)).known == {ROW.name: ROW}
    assert store.read(claim_name(ROW.name)) is None


def test_a_line_that_was_cut_off_is_passed_over(tmp_path):
    store = LocalStore(tmp_path)
    manifest = Manifest(store)
    manifest.add(ROW)
    store.append(MANIFEST, Row("b.dng", "done").to_json().encode()[:40])
    manifest = Manifest(store)
    assert set(manifest.known) == {ROW.name}
    manifest.add(Row("c.dng", "done"))
    assert set(Manifest(store).known) == {ROW.name, "c.dng"}


def test_an_empty_manifest_is_none(tmp_path):
    store = LocalStore(tmp_path)
    store.append(MANIFEST, b"")
    assert Manifest(store).known == {}
    (tmp_path / MANIFEST).unlink()
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(BatchError, match="is a folder"):
        Manifest(store)


def test_a_claim_of_what_is_written_down_is_taken_back_and_adds_no_row(store):
    store.write(MANIFEST, ROW.to_json().encode() + b"\n")
    claimed = dataclasses.replace(ROW, seconds=ROW.seconds + 1)
    store.write(claim_name(ROW.name), claimed.to_json().encode())
    manifest = Manifest(store)
    assert store.read(claim_name(ROW.name)) is None
    manifest.add(dataclasses.replace(ROW, status="skipped"))
    manifest.close([])
    assert store.read(MANIFEST) == ROW.to_json().encode() + b"\n"


def test_claims_are_known_and_written_down_once_settled(store):
    store.write(claim_name(ROW.name), ROW.to_json().encode())
    store.write(claim_name("odd"), b"{")
    manifest = Manifest(store)
    assert manifest.known == {ROW.name: ROW}
    manifest.add(Row(ROW.name, "failed"))
    assert store.read(claim_name(ROW.name)) is not None
    manifest.add(Row(**json.loads(ROW.to_json()) | {"status": "skipped"}))
    manifest.close([])
    assert store.read(claim_name(ROW.name)) is None
    assert Manifest(store).known == {ROW.name: ROW}

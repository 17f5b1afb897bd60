from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from isp_meta import embed, recover
from isp_meta.batch import Embed, Recover, Verify
from isp_meta.batch.work import work

from .conftest import EMBED, QUICK


def test_bytes_to_bytes_and_back(raw_bytes, tmp_path):
    (tmp_path / "a.dng").write_bytes(raw_bytes[0])
    embed(tmp_path / "a.dng", tmp_path / "a.jpg", EMBED.options)
    made = work(EMBED, "x/y/a.dng", raw_bytes[0])
    assert made.data == (tmp_path / "a.jpg").read_bytes()
    assert (made.beside, made.kind, made.error) == (None, "", "")
    assert made.megapixels == pytest.approx(0.006144)

    back = work(Recover("npy"), "a.jpg", made.data)
    (tmp_path / "a.npy").write_bytes(back.data)
    raw = recover(tmp_path / "a.jpg").raw
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), raw)

    checked = work(Verify(), "a.jpg", made.data)
    assert (checked.data, checked.error, checked.megapixels) == (None, "", made.megapixels)


def test_a_sidecar_comes_and_goes_beside(raw_bytes):
    made = work(Embed(dataclasses.replace(QUICK, carrier="sidecar")), "a.dng", raw_bytes[0])
    assert made.beside
    assert work(Verify(), "a.jpg", made.data).kind == "PayloadMissing"
    assert work(Verify(), "a.jpg", made.data, made.beside).error == ""
    assert work(Recover(), "a.jpg", made.data, made.beside).data[:2] == b"II"


@pytest.mark.parametrize(
    ("job", "name", "change", "kind", "text"),
    [
        (EMBED, "x/a.dng", lambda b: b[: len(b) // 2], "RawFileDamaged", "x/a.dng: cut off"),
        (EMBED, "x/a.dng", lambda _b: b"", "RawFileError", "x/a.dng: is empty"),
        (EMBED, "a.dng", lambda _b: b"text", "NotARawFile", "a.dng: not a raw file"),
        (Verify(), "x/a.jpg", lambda _b: b"text", "PayloadCorrupt", "x/a.jpg: "),
        (Recover(), "x/a.jpg", lambda b: b, "PayloadMissing", "x/a.jpg: "),
        (EMBED, f"{'x' * 300}.dng", lambda b: b, "OSError", f"{'x' * 300}.dng: File name too"),
    ],
)
def test_errors_name_the_file_and_are_returned(raw_bytes, job, name, change, kind, text):
    done = work(job, name, change(raw_bytes[0]))
    assert (done.data, done.kind, done.megapixels) == (None, kind, 0)
    assert done.error.startswith(text)
    assert "isp-meta-" not in done.error


def test_defects_and_lack_of_memory_are_returned(raw_bytes, monkeypatch):
    for error, text in (
        (MemoryError(), "a.dng: not enough memory for this picture"),
        (KeyError("odd"), "a.dng: KeyError, 'odd'"),
        (ValueError("two\nlines"), "a.dng: two lines"),
    ):

        def fail(*_arguments, error=error):
            raise error

        monkeypatch.setattr(Embed, "perform", fail)
        assert work(EMBED, "a.dng", raw_bytes[0]).error == text

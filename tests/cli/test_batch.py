from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from isp_meta import read_metadata

from .conftest import PROGRAM

QUICK = ("--sampler", "uniform", "--effort", "0", "--jobs", "1")


@pytest.fixture
def photos(small, tmp_path) -> Path:
    """A tree with two raw files and a text that says it is one."""
    for name in ("a.dng", "b/c.dng"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        shutil.copy(small / "photo.dng", tmp_path / "in" / name)
    (tmp_path / "in" / "odd.dng").write_text("text")
    return tmp_path / "in"


def test_what_is_passed_over_is_told(run, photos, tmp_path):
    (photos / "odd.dng").rename(photos / "odd.heic")
    (photos / "b" / "notes").write_text("text")
    call = "batch", "embed", photos, "-o", tmp_path / "out", "--jobs", 1, *QUICK
    result = run(*call)
    assert (result.code, result.lines) == (0, [])
    assert result.out.startswith("2 done, 0 skipped, 2 passed over (.heic); 0.1 megapixels in ")
    summary = json.loads(run(*call, "--json").out)
    assert (summary["files"], summary["passed_over"]) == (2, 2)
    assert summary["passed_over_endings"] == {"": 1, ".heic": 1}


def test_where_nothing_is_to_do_nothing_is_written(run, photos, names, tmp_path):
    nothing = run("batch", "recover", photos, "-o", tmp_path / "out")
    assert nothing.failed(1, "holds no file that ends in one of", "3 passed over")
    assert run("batch", "embed", tmp_path / "none", "-o", tmp_path / "out").failed(1, "no such")
    assert names() == ["in"]


def test_embed_verify_recover(run, photos, tmp_path):
    out = tmp_path / "out"
    options = ("--sampler", "uniform", "--quality", 80, "--preset", "karaimer-brown")
    result = run("batch", "embed", photos, "-o", out, "--jobs", 1, *options)
    assert result.code == 1
    (line,) = result.lines
    assert line.startswith("error: odd.dng: not a raw file: no header says which camera made it")
    assert result.out.startswith(f"2 done, 0 skipped, 1 failed ({out}/.isp-meta-batch/errors.csv)")
    assert result.out.count("\n") == 1
    direct = tmp_path / "direct.jpg"
    assert run("embed", photos / "a.dng", "-o", direct, *options).code == 0
    assert (out / "b/c.jpg").read_bytes() == direct.read_bytes()

    shutil.copy(photos / "a.dng", photos / "odd.dng")
    result = run("batch", "embed", photos, "-o", out, "--jobs", 1, "--json", *options)
    summary = json.loads(result.out)
    assert (result.code, result.lines) == (0, [])
    assert [summary[name] for name in ("files", "done", "skipped", "failed")] == [3, 1, 2, 0]
    assert summary["megapixels"] == pytest.approx(0.049152)

    assert run("batch", "verify", out, "-o", tmp_path / "checked", "--jobs", 1).code == 0
    back = tmp_path / "back"
    assert run("batch", "recover", out, "-o", back, "--jobs", 1, "--format", "tiff").code == 0
    assert (back / "b/c-recovered.tif").is_file()
    shutil.rmtree(back)
    assert run("batch", "recover", out, "-o", back, "--jobs", 1, "--linear").code == 0
    assert (back / "a-recovered.dng").is_file()


def test_kinds_of_pictures(run, photos, tmp_path):
    (photos / "odd.dng").unlink()
    for kind in ("png", "tif"):
        out = tmp_path / kind
        assert run("batch", "embed", photos, "-o", out, "--format", kind, *QUICK).code == 0
        with Image.open(out / f"b/c.{kind}") as shown:
            assert shown.format == {"png": "PNG", "tif": "TIFF"}[kind]
        assert read_metadata(out / f"a.{kind}").match == "exact"


def test_verify_tells_what_is_wrong(run, photo, tmp_path):
    folder = photo.parent / "jpegs"
    folder.mkdir()
    (folder / "fine.jpg").write_bytes(photo.read_bytes())
    with Image.open(photo) as shown:
        shown.save(folder / "bare.jpg")
    result = run("batch", "verify", folder, "-o", tmp_path / "checked", "--jobs", 1, "--json")
    assert result.code == 1
    (error,) = json.loads(result.out)["errors"]
    assert (error["name"], error["kind"]) == ("bare.jpg", "PayloadMissing")
    table = (tmp_path / "checked/.isp-meta-batch/errors.csv").read_text()
    assert table.splitlines()[1].startswith("bare.jpg,PayloadMissing,")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("embed", "none", "-o", "out"), 1, "none: there is no such folder"),
        (("embed", "in", "-o", "out", "--bpp", "1", "--psnr", "9"), 2, "one of bpp, size and psnr"),
        (("embed", "in", "-o", "out", "--preset", "x"), 1, "there is no preset 'x'"),
        (("recover", "in", "-o", "out", "--linear", "--format", "npy"), 2, "linear makes a DNG"),
        (("verify", "in", "-o", "out"), 1, "holds no file that ends in one of .jpeg, .jpg"),
        (("embed", "in", "-o", "out", "--gpus", "1"), 2, "--gpus goes with --engine ray"),
    ],
)
def test_wrong_calls(run, photos, monkeypatch, arguments, code, text):
    monkeypatch.chdir(photos.parent)
    assert run("batch", *arguments).failed(code, text)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_is_stopped_goes_on(run, small, tmp_path, kind):
    names = [f"{number:02}.dng" for number in range(30)]
    (tmp_path / "in").mkdir()
    for name in names:
        shutil.copy(small / "photo.dng", tmp_path / "in" / name)
    call = ("batch", "embed", tmp_path / "in", "-o", tmp_path / "out", *QUICK[:-1], "2")
    manifest = tmp_path / "out/.isp-meta-batch/manifest.jsonl"
    with subprocess.Popen([PROGRAM, *call], stderr=subprocess.PIPE, text=True) as program:
        while not manifest.exists() or manifest.read_bytes().count(b"\n") < 3:
            assert program.poll() is None
            time.sleep(0.005)
        program.send_signal(kind)
        text = program.communicate()[1]
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert 3 <= len(rows) < 30
    if kind is signal.SIGKILL:
        assert (program.returncode, text) == (-kind, "")
    else:
        assert program.returncode == 128 + kind
        # The latest row may have been written down, and not yet counted.
        left = {30 - len(rows), 31 - len(rows)}
        assert text in {
            f"error: stopped with {n} of 30 left; the same command goes on\n" for n in left
        }
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{row['worker']}") for row in rows):  # noqa: PTH110
        assert time.monotonic() < deadline
        time.sleep(0.02)

    result = run(*call, "--json")
    summary = json.loads(result.out)
    assert (result.code, summary["done"] + summary["skipped"]) == (0, 30)
    assert summary["skipped"] >= len(rows)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert Counter(row["name"] for row in rows) == Counter(names)
    written = [p.name for p in (tmp_path / "out").iterdir() if p.is_file()]
    assert sorted(written) == [name.replace("dng", "jpg") for name in names]
    assert not list(manifest.parent.glob("claims/*"))


def test_progress_is_for_terminals(small, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(small / "photo.dng", tmp_path / "in")
    ours, theirs = os.openpty()
    call = [PROGRAM, "batch", "embed", tmp_path / "in", "-o", tmp_path / "out", *QUICK]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(call, stderr=theirs, stdout=subprocess.PIPE, env=environment) as program:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        text = program.communicate()[0]
    os.close(ours)
    assert text.startswith(b"1 done, 0 skipped; 0.0 megapixels in ")
    assert b"0/1" in shown
    assert b"MP/s" in shown

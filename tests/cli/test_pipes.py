"""``-``: standard input and output in place of files."""

from __future__ import annotations

import os
import pty
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from isp_meta import read_metadata
from isp_meta.cli import app

from .conftest import PROGRAM


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """Runs a command on bytes: exit code, bytes, text of standard error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def pipe(data: bytes, *arguments: str | Path) -> tuple[int, bytes, str]:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], input=data)
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
        return done.exit_code, done.stdout_bytes, done.stderr

    return pipe


def test_a_picture_on_its_way(pipe, small, count, tmp_path):
    code, jpeg, errors = pipe((small / "photo.dng").read_bytes(), "embed", "-", "-o", "-")
    assert (code, errors) == (0, "")
    assert jpeg == (small / "photo.jpg").read_bytes()
    assert pipe(jpeg, "verify", "-") == (0, b"stdin: exact, %d samples in stdin\n" % count, "")
    assert b"\nsource           stdin\n" in pipe(jpeg, "inspect", "-")[1]
    code, raw, errors = pipe(jpeg, "recover", "-", "-o", "-", "--format", "npy")
    assert (code, errors) == (0, "")
    assert np.load(BytesIO(raw)).shape == (3, 192, 256)
    code, metadata, errors = pipe(jpeg, "extract", "-", "-o", "-")
    assert (code, errors) == (0, "")
    code, plain, errors = pipe(jpeg, "strip", "-", "-o", "-")
    assert (code, errors) == (0, "")
    assert len(plain) < len(jpeg)
    code, nothing, errors = pipe(plain, "verify", "-")
    assert (code, nothing) == (3, b"")
    assert errors.startswith("error: stdin: the JPEG file carries no raw metadata")
    sidecar = tmp_path / "metadata"
    sidecar.write_bytes(metadata)
    whole = tmp_path / "whole.jpg"
    whole.write_bytes(pipe(plain, "attach", "-", sidecar, "-o", "-")[1])
    assert read_metadata(whole).match == "exact"


def test_renderings(pipe, small):
    code, jpeg, errors = pipe((small / "photo.dng").read_bytes(), "render", "-", "-o", "-")
    assert (code, errors) == (0, "")
    assert Image.open(BytesIO(jpeg)).size == (256, 192)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["recover", "-"], "standard input has no name; give -o"),
        (["strip", "-", "--in-place"], "standard input cannot be replaced; give -o"),
        (["extract", "-"], "standard input has no name; give -o"),
        (["recover", "a.jpg", "b.jpg", "-o", "-"], "standard output takes one file, not several"),
        (["embed", "-", "-o", "-", "--carrier", "sidecar"], "--carrier sidecar makes two"),
    ],
)
def test_wrong_calls(run, arguments, text):
    assert run(*arguments).failed(2, text)


def test_nothing_comes_out_of_what_fails(pipe):
    assert pipe(b"", "recover", "-", "-o", "-") == (
        1,
        b"",
        "error: stdin: is empty; copy it again from where it came\n",
    )


def test_no_picture_on_a_terminal(small):
    terminal, program = pty.openpty()
    done = subprocess.run(
        [PROGRAM, "recover", small / "photo.jpg", "-o", "-"], stdout=program, stderr=subprocess.PIPE
    )
    os.close(program)
    os.close(terminal)
    assert done.returncode == 2
    assert b"standard output is a terminal" in done.stderr


@pytest.mark.parametrize(
    ("call", "code", "text"),
    [
        ("verify - <&-", 1, "error: standard input: is closed\n"),
        ("recover photo.jpg -o - >&-", 2, "standard output is closed; name a file or use a pipe\n"),
    ],
)
def test_closed(small, call, code, text):
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {PROGRAM} {call}"],
        cwd=small,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.endswith(text)
    assert "Traceback" not in done.stderr

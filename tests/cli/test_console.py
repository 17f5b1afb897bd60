"""What all commands share: names of any kind, exit codes, errors of the system around them."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
import typer

import isp_meta
from isp_meta.cli.console import errors
from isp_meta.errors import PayloadCorrupt, PictureMismatch

from .test_recover import edited

COMMANDS = (
    *("embed", "recover", "inspect", "verify", "extract", "strip", "compare", "demo"),
    *("prepare", "train", "evaluate"),
)
NAMES = [
    "[bold]photo[red]",
    "[x",
    ":smile: [red]",
    "\\[x]\\",
    "two  words, a\ttab",
    "Größe 日本 🙂",
    "-o",
    "x" * 200,
]


@pytest.mark.parametrize("name", NAMES)
def test_names_appear_as_they_are(run, small, count, tmp_path, name):
    raw = tmp_path / f"{name}.dng"
    shutil.copy(small / "photo.dng", raw)
    jpeg, dng = raw.with_suffix(".jpg"), tmp_path / f"{name}-recovered.dng"
    assert run("embed", raw).out.startswith(f"{jpeg}: 256x192, ")
    assert run("verify", jpeg).out == f"{jpeg}: exact, {count} samples in {jpeg}\n"
    assert f"\nsource           {jpeg}\n" in run("inspect", jpeg).out
    assert run("recover", jpeg).out == f"{dng}: 256x192, dng\n"
    assert run("recover", jpeg).lines == [f"error: {dng}: exists already; use --overwrite"]
    assert run("extract", jpeg).out.startswith(f"{jpeg}.ispmeta: ")
    assert run("strip", jpeg, "--in-place").out.startswith(f"{jpeg}: ")
    assert run("verify", f"{jpeg}.none").lines == [
        f"error: {jpeg}.none: there is no such file; check the name"
    ]


def test_a_remedy_is_a_flag_where_the_command_has_it(run, photo, raw, tmp_path):
    edited(photo)
    text = f"error: {photo}: its pixels were edited after the metadata was made"
    assert run("recover", photo).lines == [f"{text}; use --force"]
    assert run("compare", raw, photo).lines == [text]
    with pytest.raises(PictureMismatch) as caught:
        isp_meta.recover(photo)
    assert f"error: {caught.value}" == f"{text}; pass force=True"


def test_line_breaks_do_not_break_the_line(run):
    assert run("verify", "a\nb.jpg").failed(1, "a b.jpg: there is no such file")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PayloadCorrupt("a.jpg: damaged"), 4, "a.jpg: damaged"),
        (OSError(5, "Input/output error", "b.jpg"), 1, "b.jpg: Input/output error"),
        (OSError("odd"), 1, "a.jpg: odd"),
        (ValueError("cell is\nwrong"), 1, "a.jpg: cell is wrong"),
        (MemoryError(), 1, "a.jpg: not enough memory"),
    ],
)
def test_errors_become_one_line_and_a_code(capsys, error, code, text):
    with pytest.raises(typer.Exit) as end, errors("a.jpg"):
        raise error
    assert end.value.exit_code == code
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {text}")
    assert printed.count("\n") == 1


def test_memory_that_torch_does_not_get_is_one_line(capsys):
    with pytest.raises(typer.Exit), errors("a.jpg"):
        torch.empty(1 << 60, dtype=torch.uint8)
    assert capsys.readouterr().err.startswith("error: a.jpg: not enough memory")


def test_faults_of_ours_are_not_hidden():
    with pytest.raises(RuntimeError, match="ours"), errors("a.jpg"):
        raise RuntimeError("ours")


def test_help(run):
    assert run().code == 2
    for option in ("-h", "--help"):
        result = run(option)
        assert result.code == 0
        for command in COMMANDS:
            assert command in result.out
            assert run(command, option).code == 0


# --- the installed program


def test_installed_program_prints_names_of_any_encoding(run_program, raw, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    # Neither in that encoding nor, with the last byte, in any.
    odd = os.fsencode(tmp_path) + "/日本 ".encode() + b"\xff.jpg"
    assert run_program("embed", raw, "-o", odd, env=environment).code == 0
    result = run_program("verify", odd, env=environment)
    assert (result.code, result.lines) == (0, [])
    assert result.out.startswith(f"{tmp_path}/\\u65e5\\u672c \\udcff.jpg: exact, ")


def test_standard_output_that_is_full(run_program, photo):
    with Path("/dev/full").open("wb") as full:
        result = run_program("inspect", photo, "--json", stdout=full)
    assert result.failed(1, "standard output: No space left on device")


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (("embed", "photo.dng", "-o", "new.jpg"), "new.jpg"),
        (("recover", "photo.jpg", "-o", "old.dng", "--overwrite"), "old.dng"),
    ],
)
def test_disk_that_is_full_leaves_things_as_they_were(
    run_program, raw, photo, tmp_path, names, arguments, target
):
    (tmp_path / "old.dng").write_bytes(b"mine")
    result = run_program(*arguments, cwd=tmp_path, preexec_fn=limit_files)
    assert result.failed(1, f"{target}: cannot write, the file is too large")
    assert names() == ["old.dng", "photo.dng", "photo.jpg"]
    assert (tmp_path / "old.dng").read_bytes() == b"mine"


def test_missing_permissions(run_program, photo, tmp_path):
    closed, secret = tmp_path / "closed", tmp_path / "secret.jpg"
    closed.mkdir()
    shutil.copy(photo, closed)
    shutil.copy(photo, secret)
    closed.chmod(0o555)
    secret.chmod(0)
    result = run_program("recover", closed / "photo.jpg")
    assert result.failed(1, f"{closed}/photo-recovered.dng: cannot write, no permission")
    closed.chmod(0)
    for path in (closed / "photo.jpg", secret):
        result = run_program("verify", path, photo)
        assert result.failed(1, f"{path}: cannot read it (Permission denied)")
        assert result.out.startswith(f"{photo}: exact")
    closed.chmod(0o755)
    assert [path.name for path in closed.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("command", ["embed", "recover", "verify", "inspect", "extract"])
@pytest.mark.parametrize("name", [".", "..", "/"])
def test_folders_are_no_pictures(run, command, name):
    assert run(command, name).failed(1)

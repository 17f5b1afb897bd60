"""What commands read and write, refused before anything is written; and then nothing is."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from isp_meta import read_metadata
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.cli.commands import COMMANDS
from isp_meta.io import file_kind, is_rendered

from .conftest import Result

Refused = Callable[..., Result]


@pytest.fixture
def refused(run, tmp_path, monkeypatch) -> Refused:
    """Runs a command that must write nothing, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def contents() -> dict[str, bytes]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}

    def refused(*arguments: str | Path) -> Result:
        before = contents()
        result = run(*arguments)
        assert contents() == before
        assert result.out == ""
        return result

    return refused


@pytest.fixture
def plain(photo) -> Path:
    """A picture that carries nothing."""
    path = photo.with_name("plain.jpg")
    path.write_bytes(jpeg_carrier.strip(photo.read_bytes()))
    return path


MEANT = [
    # What is called, what was meant.
    ("embed photo.dng out.jpg", "embed photo.dng -o out.jpg"),
    ("embed photo.dng out.png", "embed photo.dng -o out.png"),
    ("embed photo.dng 'a b.jpg'", "embed photo.dng -o 'a b.jpg'"),
    ("embed photo.dng plain.jpg", "embed photo.dng --jpeg plain.jpg"),
    ("embed photo.dng picture.tif", "embed photo.dng --jpeg picture.tif"),
    ("embed photo.dng photo.jpg", "embed photo.dng --jpeg photo.jpg -o photo-raw.jpg"),
    ("embed photo.dng folder", "embed photo.dng -o folder"),
    ("embed photo.dng other.dng folder", "embed photo.dng other.dng -o folder"),
    ("render photo.dng out.jpg", "render photo.dng -o out.jpg"),
    ("render photo.dng plain.jpg", "render photo.dng -o plain.jpg"),
    ("noise photo.dng out.dng", "noise photo.dng -o out.dng"),
    ("recover photo.jpg out.dng", "recover photo.jpg -o out.dng"),
    ("recover photo.jpg out.npy", "recover photo.jpg -o out.npy"),
    ("recover photo.jpg photo.dng", "recover photo.jpg -o photo.dng"),
    ("recover photo.jpg picture.tif", "recover photo.jpg -o picture.tif"),
    ("recover photo.jpg folder", "recover photo.jpg -o folder"),
    ("strip photo.jpg out.jpg", "strip photo.jpg -o out.jpg"),
    ("strip photo.jpg out.jpg --in-place", "strip photo.jpg -o out.jpg"),
    ("bit-depth degrade plain.jpg out.png", "bit-depth degrade plain.jpg -o out.png"),
    ("bit-depth embed plain.jpg out.tif", "bit-depth embed plain.jpg -o out.tif"),
    ("bit-depth recover photo.jpg out.png", "bit-depth recover photo.jpg -o out.png"),
]


@pytest.fixture
def full(raw, photo, plain, tmp_path) -> Path:
    """A folder of raw files, pictures and a folder."""
    shutil.copy(raw, tmp_path / "other.dng")
    (tmp_path / "folder").mkdir()
    Image.new("RGB", (64, 48), "gray").save(tmp_path / "picture.tif")
    return tmp_path


def words(line: str) -> list[str]:
    return shlex.split(line)


@pytest.mark.parametrize(("called", "meant"), MEANT)
def test_a_target_among_the_sources_is_refused_with_what_was_meant(refused, full, called, meant):
    last = words(meant)[-1] if "-raw" not in meant else "photo.jpg"
    result = refused(*words(called), *(("--overwrite",) if "--in-place" not in called else ()))
    assert result.failed(2, f"{last}: ", f"; did you mean: isp-meta {meant}")


def test_what_was_meant_can_be_called(run, full, monkeypatch):
    monkeypatch.chdir(full)
    assert run("embed", "photo.dng", "--jpeg", "photo.jpg", "-o", "photo-raw.jpg").code == 0
    assert read_metadata(full / "photo-raw.jpg").match == "exact"
    # Two pictures that carry are two sources, whatever they are called.
    shutil.copy("photo.jpg", "b.jpg")
    assert run("verify", "photo.jpg", "b.jpg").code == 0


@pytest.mark.parametrize(
    ("called", "text"),
    [
        ("embed photo.dng other.dng out.jpg", "out.jpg: there is no such file"),
        (
            "embed photo.dng other.dng plain.jpg",
            "plain.jpg: not a raw file: JPEG, already rendered",
        ),
        ("recover photo.jpg photo.jpg out.dng", "out.dng: there is no such file"),
    ],
)
def test_several_sources_and_a_target_among_them(refused, full, called, text):
    result = refused(*words(called))
    assert result.failed(2, text, "-o names what is written, a folder for several files")


@pytest.mark.parametrize(
    ("command", "source"),
    [
        ("embed", "photo.dng"),
        ("render", "photo.dng"),
        ("noise", "photo.dng"),
        ("recover", "photo.jpg"),
        ("strip --in-place", "photo.jpg"),
        ("bit-depth degrade", "plain.jpg"),
        ("bit-depth embed", "plain.jpg"),
        ("bit-depth recover", "photo.jpg"),
    ],
)
def test_every_source_is_looked_at_before_the_first_is_done(refused, full, command, source):
    (full / "empty.dng").touch()
    (full / "closed.jpg").write_bytes(b"")
    Image.new("RGB", (64, 48)).save(full / "a.webp")
    os.mkfifo(full / "pipe")
    names = ("none.dng", "none.jpg", "empty.dng", "folder", "a.webp", "pipe")
    result = refused(*command.split(), source, *names, source)
    assert result.code == (8 if source == "photo.dng" else 1)
    told = {line.removeprefix("error: ").split(": ")[0]: line for line in result.lines}
    assert list(told) == list(names)
    texts = ("no such file", "no such file", "is empty", "is a folder", "", "is a device or pipe")
    for text, line in zip(texts, result.lines, strict=True):
        assert text in line
    kind = "WebP, already rendered" if source == "photo.dng" else "is no JPEG, PNG or TIFF"
    assert kind in told["a.webp"]


@pytest.mark.parametrize("command", ["embed", "recover", "verify"])
def test_folders_name_the_batch(refused, full, command):
    result = refused(command, "folder")
    if command != "verify":
        assert result.failed(1, f"folder: is a folder; for all in it: isp-meta batch {command} ")
    assert result.code == 1


@pytest.mark.parametrize(
    ("called", "code", "text"),
    [
        ("embed photo.dng -o x.heic", 2, "x.heic: name it .jpg, .png or .tif"),
        ("embed photo.dng -o x.webp", 2, "x.webp: name it .jpg, .png or .tif"),
        ("embed photo.dng -o x.avif", 2, "x.avif: name it .jpg, .png or .tif"),
        ("embed photo.dng -o x.dng", 2, "x.dng: name it .jpg, .png or .tif"),
        ("embed photo.dng -o x", 2, "x: name it .jpg, .png or .tif"),
        ("render photo.dng -o x.heic", 2, "x.heic: name it .jpg, .png or .tif"),
        ("render photo.dng -o x.jpg --until Demosaic", 2, "x.jpg: name it .tif"),
        ("recover photo.jpg -o x.heic", 2, "x.heic: name it .dng, .tif or .npy"),
        ("recover photo.jpg -o x.jpg --format dng", 2, "x.jpg: name it .dng"),
        ("recover photo.jpg -o x.dng --format npy", 2, "x.dng: name it .npy"),
        ("report photo.jpg -o x.pdf", 2, "x.pdf: name it .html"),
        ("extract photo.jpg -o x.jpg", 2, "x.jpg: name it .ispmeta"),
        ("strip photo.jpg -o x.png", 2, "x.png: name it .jpg"),
        ("strip picture.tif -o x.jpg", 2, "x.jpg: name it .tif or .dng"),
        ("attach plain.jpg photo.jpg -o x.png", 2, "x.png: name it .jpg"),
        ("unprocess plain.jpg -o x.tif", 2, "x.tif: name it .dng"),
        ("noise photo.dng -o x.tif", 2, "x.tif: name it .dng"),
        ("export photo.dng -o x.jpg", 2, "x.jpg: name it .onnx"),
        ("fit photo.dng plain.jpg -o x.jpg", 2, "x.jpg: name it .toml"),
        ("compare photo.dng photo.jpg --map x.jpg", 2, "x.jpg: name it .png"),
        ("bit-depth degrade plain.jpg -o x.jpg", 2, "x.jpg: name it .png or .tif"),
        ("bit-depth embed plain.jpg -o x.jpg", 2, "x.jpg: name it .png or .tif"),
        ("bit-depth recover photo.jpg -o x.jpg", 2, "x.jpg: name it .png or .tif"),
        ("bit-depth evaluate folder -o x.csv", 2, "x.csv: name it .json"),
        ("embed photo.dng -o none/x.jpg", 1, "none/x.jpg: cannot write, its folder does not exist"),
        ("recover photo.jpg -o none/x.dng", 1, "none/x.dng: cannot write, its folder does not"),
        ("strip photo.jpg -o none/x.jpg", 1, "none/x.jpg: cannot write, its folder does not"),
        ("report photo.jpg -o photo.dng/x.html", 1, "photo.dng/x.html: cannot write, its folder"),
        ("embed photo.dng other.dng -o none", 2, "none: is no folder; several files need one"),
        ("attach plain.jpg photo.jpg -o photo.jpg --overwrite", 1, "photo.jpg: is the file that"),
        ("report photo.jpg --raw photo.dng -o photo.dng --overwrite", 1, "photo.dng: is the file"),
        ("embed photo.dng --jpeg none.jpg", 1, "none.jpg: there is no such file"),
        ("embed photo.dng --jpeg folder", 1, "folder: is a folder"),
    ],
)
def test_every_target_is_looked_at_before_the_first_is_made(refused, full, called, code, text):
    assert refused(*words(called)).failed(code, text)


def test_a_target_must_be_no_other_source(refused, full):
    """Not its own, but that of a file which comes later."""
    (full / "out.dng").write_bytes((full / "photo.dng").read_bytes())
    (full / "out.jpg").symlink_to(full / "other.dng")
    result = refused("embed", "out.dng", "other.dng", "--overwrite")
    assert result.failed(1, "out.jpg: is the file that it would be made from")


def test_sidecars_are_looked_at_too(refused, full):
    sidecar_path(full / "photo.jpg").mkdir()
    call = "embed", "other.dng", "photo.dng", "--carrier", "sidecar", "--overwrite"
    assert refused(*call).failed(1, "photo.jpg.ispmeta: cannot write, it is a folder")


def test_files_that_are_there_keep_the_others_from_nothing(run, full):
    out = full / "folder"
    (out / "photo.jpg").write_bytes(b"mine")
    result = run("embed", full / "photo.dng", full / "other.dng", "-o", out)
    assert result.failed(1, "photo.jpg: exists already; use --overwrite")
    assert (out / "photo.jpg").read_bytes() == b"mine"
    assert read_metadata(out / "other.jpg").match == "exact"


def test_every_command_that_writes_is_here():
    """A new command that writes is to be tested for all of the above."""
    written = {line.split()[0] for line, _meant in MEANT}
    others = {"report", "extract", "attach", "unprocess", "export", "fit", "compare"}
    folders = {"batch", "evaluate", "prepare", "train", "demo"}
    reads = {"inspect", "verify", "stages", "doctor"}
    assert written | others | folders | reads == {c for group in COMMANDS.values() for c in group}


# --- files replaced in place


def tag(path: Path) -> None:
    try:
        os.setxattr(path, "user.xdg.tags", b"stars")
    except OSError as error:
        pytest.skip(f"{path.parent} keeps no extended attributes: {error.strerror}")


def test_in_place_keeps_what_is_the_file_s(run, photo):
    tag(photo)
    photo.chmod(0o640)
    metadata = photo.with_name("kept.ispmeta")
    assert run("extract", photo, "-o", metadata).code == 0
    for call in (("strip", photo), ("attach", photo, metadata)):
        assert run(*call, "--in-place").code == 0
        assert os.getxattr(photo, "user.xdg.tags") == b"stars"
        assert photo.stat().st_mode & 0o777 == 0o640


def test_the_time_of_modification_is_kept_on_demand(run, photo, tmp_path):
    when = 1_234_567_890_123_456_789
    metadata = photo.with_name("kept.ispmeta")
    assert run("extract", photo, "-o", metadata).code == 0
    for call in (("strip", photo), ("attach", photo, metadata)):
        os.utime(photo, ns=(when, when))
        assert run(*call, "--in-place", "--keep-time").code == 0
        assert photo.stat().st_mtime_ns == when
    assert run("strip", photo, "-o", tmp_path / "b.jpg", "--keep-time").code == 0
    assert (tmp_path / "b.jpg").stat().st_mtime_ns == when
    assert run("strip", photo, "--in-place").code == 0
    assert photo.stat().st_mtime_ns != when


# --- kinds of files


def test_kinds(full):
    for name, kind in (("a.png", "PNG"), ("a.webp", "WebP"), ("a.gif", "GIF"), ("a.bmp", "BMP")):
        Image.new("RGB", (64, 48)).save(full / name)
        assert file_kind(full / name) == kind
        assert is_rendered(full / name)
    for head, kind in (
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x1cftypcrx ", ""),
        (b"\xff\x0a", "JPEG XL"),
        (b"FUJIFILMCCD-RAW", ""),
        (b"", ""),
    ):
        (full / "b").write_bytes(head)
        assert file_kind(full / "b") == kind
        assert is_rendered(full / "b") == bool(kind)
    assert file_kind(full / "photo.dng") == file_kind(full / "picture.tif") == "TIFF"
    assert not is_rendered(full / "photo.dng")
    assert is_rendered(full / "picture.tif")
    (full / "b").write_bytes(b"II*\0\xff\xff\xff\xff")
    assert not is_rendered(full / "b")

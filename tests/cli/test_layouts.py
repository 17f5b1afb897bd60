"""Raw files without a header on the command line."""

from __future__ import annotations

import json

import imagecodecs
import numpy as np
import pytest

from isp_meta import read_metadata

WIDTH, HEIGHT = 256, 192
WORDS = f"--raw-size {WIDTH}x{HEIGHT} --bits 12 --cfa GRBG --black 64 --white 4000".split()


@pytest.fixture
def dump(tmp_path):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(1).integers(0, 50, (HEIGHT, WIDTH))
    path = tmp_path / "frame.raw"
    path.write_bytes((100 + 8 * x + 4 * y + noise).astype("<u2").tobytes())
    return path


def test_embed_compare_report(run, dump):
    jpeg = dump.with_suffix(".jpg")
    assert run("embed", dump, *WORDS).code == 0
    result = run("compare", dump, jpeg, "--json", *WORDS)
    assert json.loads(result.out)["psnr"] > 40
    assert run("report", jpeg, "--raw", dump, *WORDS).code == 0
    assert run("render", dump, "-o", dump.with_suffix(".png"), *WORDS).code == 0
    assert run("export", dump, "-o", dump.with_suffix(".onnx"), *WORDS).code == 0


def test_black_levels_place_by_place(run, dump):
    words = [*WORDS, "--black", "60,65,66,67"]
    assert run("embed", dump, *words).code == 0
    assert read_metadata(dump.with_suffix(".jpg")).payload.camera.black_level == (60, 65, 66, 67)


def test_a_layout_in_a_file(run, dump, tmp_path):
    layout = tmp_path / "sensor.toml"
    layout.write_text(f'width = {WIDTH}\nheight = {HEIGHT}\nbits = 12\ncfa = "GRBG"\n')
    assert run("embed", dump, "--layout", layout).code == 0
    wrong = run("embed", dump, "--layout", layout, "--bits", "12")
    assert (wrong.code, wrong.lines) == (
        2,
        ["error: --layout says it all; leave the other options of a raw without a header out"],
    )


def test_a_picture_that_holds_a_mosaic(run, dump, tmp_path):
    codes = np.fromfile(dump, "<u2").reshape(HEIGHT, WIDTH)
    png = tmp_path / "mosaic.png"
    png.write_bytes(imagecodecs.png_encode(codes))
    words = ["-o", tmp_path / "a.jpg", "--overwrite"]
    assert run("embed", png, *words).code == 8
    assert run("embed", png, *words, *WORDS).code == 0
    assert run("render", png, *words, *WORDS).code == 0
    (tmp_path / "mosaic.png.toml").write_text(f"width = {WIDTH}\nheight = {HEIGHT}\nbits = 12\n")
    assert run("embed", png, *words).code == 0


def test_a_tree_of_dumps(run, dump, tmp_path):
    other = tmp_path / "in" / "a.raw"
    other.parent.mkdir()
    other.write_bytes(dump.read_bytes())
    assert run("batch", "embed", other.parent, "-o", tmp_path / "out", *WORDS).code == 0
    assert (tmp_path / "out" / "a.jpg").exists()
    # Without a layout, but with one beside the file.
    beside = other.with_name("a.raw.toml")
    beside.write_text(f"width = {WIDTH}\nheight = {HEIGHT}\nbits = 12\n")
    assert run("batch", "embed", other.parent, "-o", tmp_path / "beside").code == 0


def test_without_a_layout_it_says_what_to_do(run, dump):
    result = run("embed", dump)
    assert result.code == 8
    (line,) = result.lines
    assert "not a raw file: no header says which camera made it" in line
    assert line.endswith("; use --raw-size 4000x3000 --bits 12 --cfa RGGB")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--bits", "12"], "--bits goes with --raw-size"),
        (["--raw-size", "12"], "must be as 4000x3000, not '12'"),
        (["--raw-size", "256x192", "--black", "x"], "must be as 64 or 64,65,65,64, not 'x'"),
        (["--raw-size", "256x192", "--cfa", "RGB2"], "cfa"),
    ],
)
def test_options_that_do_not_go(run, dump, words, text):
    result = run("embed", dump, *words)
    assert result.code == 2
    assert text in " ".join(result.lines)


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (b"\xff\xd8\xff\xe0" * 100, 8, "not a raw file: JPEG"),
        (b"FOVb" * 100, 7, "not supported: a Foveon"),
        (b"II*\0\x08\0\0\0\xff", 6, "cut off: "),
    ],
)
def test_each_kind_of_refusal_has_its_exit_code(run, tmp_path, data, code, text):
    path = tmp_path / "a.nef"
    path.write_bytes(data)
    result = run("embed", path)
    assert result.code == code
    assert text in result.lines[0]

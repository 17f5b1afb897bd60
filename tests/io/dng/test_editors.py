"""Raw editors render what recovery writes as they render the original; those that are installed."""

from __future__ import annotations

import dataclasses
import os
import struct
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from numpy.typing import NDArray
from PIL import Image
from programs import DARKTABLE, EDITORS, RAWTHERAPEE, Program

from isp_meta import CaptureOptions, embed, recover
from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.io import read_raw, write_dng
from isp_meta.io.dng.directory import EXIF_PLACEHOLDER, append_exif
from isp_meta.io.dng.tags import CFA, Tag

Picture = NDArray[np.int64]


def gain_map(top: int, left: int, height: int, width: int, strength: float) -> bytes:
    """A lens that loses light toward the corners, on 9 by 9 points of one place of the mosaic."""
    y, x = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9), indexing="ij")
    gains = (1 + strength * (y * y + x * x)).astype(">f4").tobytes()
    head = struct.pack(
        ">8I2I4dI", top, left, height, width, 0, 1, 2, 2, 9, 9, *[1 / 8] * 2, 0, 0, 1
    )
    return struct.pack(">4I", 9, 0x01030000, 3, len(head + gains)) + head + gains


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as its camera would have written it: with gain maps, a crop, and stretched."""
    with tifffile.TiffFile(sample_path()) as source:
        page = source.pages.first
        codes = page.asarray()
        height, width = codes.shape
        kept = [tag for tag in page.tags if 33000 < tag.code < 60000 and tag.code != Tag.EXIF_IFD]
        tags = [(tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in kept]
        tags += [(t.code, 2, 0, t.value, True) for t in page.tags if t.code in (271, 272)]
        tags += [(274, 3, 1, 2, True)]
    places = [(0, 0, 0.6), (0, 1, 0.5), (1, 0, 0.5), (1, 1, 0.45)]
    maps = [gain_map(y, x, height, width, strength) for y, x, strength in places]
    lists = struct.pack(">I", 4) + b"".join(maps)
    tags += [
        (Tag.OPCODE_LIST[1], 7, len(lists), lists, True),
        (Tag.DEFAULT_CROP_ORIGIN, 4, 2, (8, 4), True),
        (Tag.DEFAULT_CROP_SIZE, 4, 2, (width - 16, height - 8), True),
        EXIF_PLACEHOLDER,
    ]
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer, byteorder="<") as tif:
        tif.write(codes, photometric=CFA, subfiletype=0, extratags=tags, metadata=None)
    path = tmp_path_factory.mktemp("editors") / "original.dng"
    path.write_bytes(append_exif(buffer.getvalue(), read_raw(sample_path()).camera))
    return path


@pytest.fixture(scope="module")
def lossless(original: Path) -> Frame:
    made = embed(original, original.with_name("lossless.jpg"), CaptureOptions(lossless=True))
    return recover(made.path)


def rendered(editor: Program, path: Path, home: Path) -> Picture:
    """What an editor makes of a raw file, 8 bits; skips the test where there is no such editor."""
    found = editor.find()
    if found is None:
        pytest.skip(f"{editor} is not installed")
    target = home / f"{path.stem}.png"
    command = {
        DARKTABLE: [path, target, "--core", "--configdir", home, "--library", ":memory:"],
        RAWTHERAPEE: ["-q", "-Y", "-n", "-d", "-o", target, "-c", path],
    }[editor]
    # With several threads RawTherapee makes another picture each time.
    alone = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **alone}
    subprocess.run([found.path, *command], env=environment, capture_output=True, check=True)
    with Image.open(target) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int64)


@pytest.mark.parametrize("editor", EDITORS, ids=str)
def test_editors_render_a_lossless_recovery_like_the_original(
    editor: Program, original: Path, lossless: Frame, tmp_path: Path
) -> None:
    write_dng(tmp_path / "recovered.dng", lossless)
    wanted = rendered(editor, original, tmp_path)
    assert np.array_equal(rendered(editor, tmp_path / "recovered.dng", tmp_path), wanted)


def test_it_is_the_gain_maps_that_do_it(original: Path, lossless: Frame, tmp_path: Path) -> None:
    told = lossless.camera.editing
    tags = {code: tag for code, tag in told.tags.items() if code != Tag.OPCODE_LIST[1]}
    camera = lossless.camera.replace(editing=dataclasses.replace(told, tags=tags))
    write_dng(tmp_path / "plain.dng", lossless.replace(camera=camera))
    # RawTherapee looks at gain maps only when it is told to.
    wanted, found = (rendered(DARKTABLE, p, tmp_path) for p in (original, tmp_path / "plain.dng"))
    assert found.shape == wanted.shape
    assert (wanted - found)[-40:].mean() > 5


def test_libraw_renders_a_lossless_recovery_like_the_original(
    original: Path, lossless: Frame, tmp_path: Path
) -> None:
    write_dng(tmp_path / "recovered.dng", lossless)
    with rawpy.imread(str(original)) as one, rawpy.imread(str(tmp_path / "recovered.dng")) as other:
        assert np.array_equal(
            one.postprocess(use_camera_wb=True), other.postprocess(use_camera_wb=True)
        )


def test_all_that_editors_are_told_comes_back(
    original: Path, lossless: Frame, tmp_path: Path
) -> None:
    told = read_raw(original).camera
    write_dng(tmp_path / "recovered.dng", lossless)
    again = read_raw(tmp_path / "recovered.dng").camera
    assert again == told
    assert again.editing.tags == told.editing.tags
    assert {"OpcodeList2", "DefaultCropSize", "ColorMatrix2"} <= set(told.editing.names)
    assert len(again.gain_maps) == 4

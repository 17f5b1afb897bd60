from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from isp_meta.camera import Camera
from isp_meta.data import sample_path
from isp_meta.errors import OutputError, RawFileError
from isp_meta.frame import Frame
from isp_meta.io import read_linear, write_dng, write_npy, write_tiff16

RAW = torch.rand(3, 30, 41, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("white", [1023.0, 16383.0, 65535.0])
def test_linear_dng_comes_back_within_half_a_code(tmp_path: Path, white: float) -> None:
    camera = Camera(
        make="M",
        model="N",
        black_level=(64.0, 65.0, 65.0, 66.5),
        white_level=white,
        as_shot_neutral=(0.5, 1.0, 0.75),
        illuminant=17,
        orientation=8,
        exif={"FNumber": "2.8"},
    )
    write_dng(tmp_path / "a.dng", Frame(camera=camera, raw=RAW), linear=True)
    again = read_linear(tmp_path / "a.dng")
    assert again.camera == camera.replace(cfa="RGB", black_level=(65.0,) * 3)
    assert again.raw.dtype == torch.float32
    assert float((again.raw - RAW).abs().max()) <= 0.501 / (white - 66.5)


def test_tiff_comes_back_within_half_a_code(tmp_path: Path) -> None:
    write_tiff16(tmp_path / "a.tif", RAW)
    assert float((read_linear(tmp_path / "a.tif").raw - RAW).abs().max()) <= 0.501 / 65535
    expected = np.rint(RAW.double().movedim(0, -1).numpy() * 65535)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), expected)


def test_npy_comes_back_exactly(tmp_path: Path) -> None:
    write_npy(tmp_path / "a.npy", RAW * 3 - 1)
    assert torch.equal(read_linear(tmp_path / "a.npy").raw, RAW * 3 - 1)


@pytest.mark.parametrize(("write", "name"), [(write_tiff16, "a.tif"), (write_npy, "a.npy")])
def test_writers_refuse(tmp_path: Path, write: type, name: str) -> None:
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        write(tmp_path / name, RAW[0])
    with pytest.raises(ValueError, match="finite"):
        write(tmp_path / name, RAW / 0 * 0)
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write(tmp_path / name, RAW)
    assert (tmp_path / name).read_bytes() == b"precious"


def test_mosaic_is_refused() -> None:
    with pytest.raises(RawFileError, match="mosaic"):
        read_linear(sample_path())


@pytest.mark.parametrize("name", ["a.dng", "a.tif", "a.npy", "a.png", "a.jpg"])
@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x93NUMPY\x01\x00v\x00{", bytes(1000)])
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RawFileError, match=name):
        read_linear(tmp_path / name)


def test_other_contents(tmp_path: Path) -> None:
    np.save(tmp_path / "int.npy", np.zeros((3, 4, 4), np.int64))
    np.save(tmp_path / "flat.npy", np.zeros((4, 4), np.float32))
    np.save(tmp_path / "nan.npy", np.full((3, 4, 4), np.nan, np.float32))
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object))
    tifffile.imwrite(tmp_path / "eight.tif", np.zeros((4, 4, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(tmp_path / "gray.tif", np.zeros((4, 4), np.uint16))
    for path in tmp_path.iterdir():
        with pytest.raises(RawFileError, match=path.name):
            read_linear(path)
    with pytest.raises(RawFileError, match="no such file"):
        read_linear(tmp_path / "none.tif")


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.98])
def test_truncation(tmp_path: Path, kept: float) -> None:
    frame = Frame(raw=RAW.repeat(1, 5, 5))
    write_dng(tmp_path / "a.dng", frame, linear=True)
    write_tiff16(tmp_path / "a.tif", frame.raw)
    write_npy(tmp_path / "a.npy", frame.raw)
    for path in list(tmp_path.iterdir()):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(RawFileError, match=path.name):
            read_linear(path)

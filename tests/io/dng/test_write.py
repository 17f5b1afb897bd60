from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import dngpy
import numpy as np
import pytest
import rawpy
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st

from isp_meta.camera import BAYER_PATTERNS, QUAD_BAYER, XTRANS, Camera
from isp_meta.data import sample_path
from isp_meta.errors import OutputError, PipelineOrderError
from isp_meta.frame import Frame
from isp_meta.io import Compression, read_linear, read_raw, remosaic, write_dng, write_mosaic
from isp_meta.io.dng.directory import _ratios
from isp_meta.io.dng.tags import Tag, read_tags
from isp_meta.stages import BlackLevel

CAMERA = Camera(
    make="Maker",
    model="Maker One",
    cfa="GRBG",
    black_level=(64.0, 66.0, 66.0, 64.5),
    white_level=1023.0,
    as_shot_neutral=(0.522449, 1.0, 0.571429),
    color_matrix=(1.0344, -0.421, -0.062, -0.2315, 1.0625, 0.1948, 0.0093, 0.1058, 0.5541),
    illuminant=23,
    orientation=6,
    exif={"ExposureTime": "1/455", "FNumber": "2.8", "ISO": "100", "LensModel": "35 mm f/2"},
)


def picture(height: int = 300, width: int = 271, camera: Camera = CAMERA) -> Frame:
    """Noise, and below it the steps from 0 to 1 and back, which stress lossless JPEG most."""
    raw = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    raw[:, height // 2 :, ::2] = 0.0
    raw[:, height // 2 :, 1::2] = 1.0
    return Frame(camera=camera, raw=raw)


def from_sample(sample: Frame) -> Frame:
    """The sample's own mosaic, each pixel's color repeated over its 2x2 block."""
    mosaic = sample.codes / sample.camera.white_level
    red, green, blue = mosaic[0, ::2, ::2], mosaic[0, ::2, 1::2], mosaic[0, 1::2, 1::2]
    raw = torch.stack([red, green, blue]).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return sample.replace(raw=raw)


@pytest.mark.parametrize("compress", ["lossless-jpeg", "none"])
@pytest.mark.parametrize("linear", [False, True])
def test_opens_everywhere_with_the_camera_s_own_numbers(
    tmp_path: Path, exiftool: Callable[[Path], str], linear: bool, compress: Compression
) -> None:
    frame, path = picture(), tmp_path / "a.dng"
    write_dng(path, frame, linear=linear, compress=compress)

    raw = frame.raw.double()
    if not linear:
        black = torch.tensor(CAMERA.black_level).view(2, 2).repeat(150, 136)[:, :271].double()
        expected = (remosaic(raw, "GRBG")[0] * (1023 - black) + black).round().numpy()
    else:
        expected = (raw.movedim(0, -1) * (1023 - 65) + 65).round().numpy()

    with rawpy.imread(str(path)) as opened:
        seen = opened.raw_image_visible
        np.testing.assert_array_equal(seen[..., :3] if linear else seen, expected)
        assert opened.white_level == 1023
        assert opened.sizes.flip == 6
        assert opened.camera_whitebalance[:3] == pytest.approx([1 / 0.522449, 1, 1 / 0.571429])
        # LibRaw rounds black levels, in the order red, green, blue, second green.
        if not linear:
            assert opened.black_level_per_channel == pytest.approx([66, 64, 66, 64.5], abs=0.5)
        else:
            assert opened.black_level_per_channel[:3] == [65, 65, 65]
    adobe = dngpy.Dng(str(path))
    np.testing.assert_array_equal(adobe.raw_pixels.squeeze(), expected)
    assert adobe.get_white_balance() == pytest.approx(CAMERA.as_shot_neutral)
    assert (adobe.metadata.make, adobe.metadata.model) == ("Maker", "Maker One")
    assert exiftool(path).split() == ["Validate", ":", "OK"]


@pytest.mark.parametrize("linear", [False, True])
def test_rawpy_reports_the_numbers_of_the_original(
    tmp_path: Path, sample: Frame, exiftool: Callable[[Path], str], linear: bool
) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, from_sample(sample), linear=linear)
    with rawpy.imread(str(sample_path())) as old, rawpy.imread(str(path)) as new:
        assert new.black_level_per_channel == old.black_level_per_channel
        assert new.white_level == old.white_level
        assert new.camera_whitebalance == old.camera_whitebalance
        assert new.sizes.flip == old.sizes.flip
        assert new.other == old.other
    assert exiftool(path).split() == ["Validate", ":", "OK"]


def test_mosaic_survives_to_the_code(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", picture())
    again = read_raw(tmp_path / "a.dng")
    assert again.camera == CAMERA
    black = torch.tensor(CAMERA.black_level).view(2, 2).repeat(150, 136)[:, :271]
    mosaic = (again.codes - black) / (1023 - black)
    assert float((mosaic - remosaic(picture().raw, "GRBG")).abs().max()) <= 0.5001 / 957


def test_sixteen_bit_extremes(tmp_path: Path) -> None:
    frame = picture(camera=Camera())
    write_dng(tmp_path / "a.dng", frame, linear=True)
    expected = np.rint(frame.raw.double().movedim(0, -1).numpy() * 65535)
    with rawpy.imread(str(tmp_path / "a.dng")) as opened:
        np.testing.assert_array_equal(opened.raw_image_visible[..., :3], expected)
    np.testing.assert_array_equal(dngpy.Dng(str(tmp_path / "a.dng")).raw_pixels, expected)


def test_compression_is_one_that_editors_read(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", picture(), linear=True)
    with tifffile.TiffFile(tmp_path / "a.dng") as tif:
        page = tif.pages.first
        assert page.compression == 7
        assert page.tile == (256, 256)
        # Start of frame 3 is lossless; the scan's second but last byte but one is the predictor.
        tile = tif.filehandle.read_array("u1", page.databytecounts[0], page.dataoffsets[0])
        data = tile.tobytes()
        assert b"\xff\xc3" in data
        scan = data.index(b"\xff\xda")
        assert data[scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big") - 3] == 1


def test_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write_dng(path, picture(), linear=True)
    assert path.read_bytes() == b"precious"
    write_dng(path, picture(), overwrite=True, linear=True)
    assert read_linear(path).camera.model == "Maker One"


def test_wrong_arguments(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    with pytest.raises(PipelineOrderError, match=r"write_dng needs frame\.raw"):
        write_dng(path, Frame(), linear=True)
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        write_dng(path, Frame(raw=torch.zeros(1, 4, 4)), linear=True)
    with pytest.raises(ValueError, match="finite"):
        write_dng(path, Frame(raw=torch.full((3, 4, 4), float("nan"))), linear=True)
    endless = Camera(color_matrix=(float("inf"),) * 9)
    with pytest.raises(ValueError, match="32-bit"):
        write_dng(path, Frame(camera=endless, raw=torch.zeros(3, 4, 4)), linear=True)
    assert not path.exists()


@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
def test_remosaic_takes_each_place_s_color(cfa: str) -> None:
    raw = torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1).expand(3, 5, 3)
    mosaic = remosaic(raw, cfa)
    assert mosaic.shape == (1, 5, 3)
    for y in range(5):
        for x in range(3):
            assert "RGB"[int(mosaic[0, y, x])] == cfa[y % 2 * 2 + x % 2]


@pytest.mark.parametrize("cfa", ["RGB" * 3, QUAD_BAYER, XTRANS])
def test_remosaic_of_any_period(cfa: str) -> None:
    side = math.isqrt(len(cfa))
    raw = torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1).expand(3, 9, 13)
    mosaic = remosaic(raw, cfa)
    for y in range(9):
        for x in range(13):
            assert "RGB"[int(mosaic[0, y, x])] == cfa[y % side * side + x % side]


def test_remosaic_without_a_mosaic() -> None:
    raw = torch.rand(3, 4, 5)
    assert torch.equal(remosaic(raw, "W"), raw[1:2])
    assert torch.equal(remosaic(raw, "RGB"), raw)


@pytest.mark.parametrize("compress", ["lossless-jpeg", "jpegxl", "none"])
@pytest.mark.parametrize("cfa", [QUAD_BAYER, XTRANS, "W", "RGB"])
def test_codes_of_every_filter_are_in_the_file(
    tmp_path: Path, cfa: str, compress: Compression
) -> None:
    levels = tuple(60.0 + place / 4 for place in range(len(cfa)))
    camera = CAMERA.replace(cfa=cfa, black_level=levels)
    codes = torch.randint(1024, (camera.channels, 300, 271)).float()
    frame = BlackLevel(clip=False)(Frame(camera, codes=codes.double()))
    raw = frame.mosaic.expand(3, -1, -1)
    write_mosaic(tmp_path / "codes.dng", frame, compress=compress)
    write_dng(tmp_path / "raw.dng", Frame(camera, raw=raw), compress=compress)
    for path in tmp_path.iterdir():
        tags = read_tags(path.read_bytes()).numbers
        assert tags[Tag.BLACK_LEVEL] == levels
        assert tags[Tag.WHITE_LEVEL] == (1023.0,) * camera.channels
        assert tags[Tag.BLACK_LEVEL_REPEAT_DIM] == (camera.period,) * 2
        if camera.period > 1:
            assert tags[Tag.CFA_PATTERN] == tuple(map("RGB".index, cfa))
        with tifffile.TiffFile(path) as tif:
            found = torch.from_numpy(tif.pages[0].asarray().astype(np.float32))
        channels = found[None] if found.dim() == 2 else found.movedim(-1, 0)
        assert torch.equal(channels, codes)


@pytest.mark.parametrize("linear", [False, True])
def test_jpeg_xl_is_what_adobe_reads(
    tmp_path: Path, exiftool: Callable[[Path], str], linear: bool
) -> None:
    frame = picture()
    for compress in ("jpegxl", "none"):
        write_dng(tmp_path / f"{compress}.dng", frame, linear=linear, compress=compress)
    small, large = tmp_path / "jpegxl.dng", tmp_path / "none.dng"
    found, wanted = (dngpy.Dng(str(path)).raw_pixels for path in (small, large))
    np.testing.assert_array_equal(found, wanted)
    assert small.stat().st_size < large.stat().st_size
    tags = read_tags(small.read_bytes()).numbers
    assert tags[Tag.COMPRESSION] == (52546,)
    assert tags[Tag.DNG_VERSION] == tags[Tag.DNG_BACKWARD_VERSION] == (1, 7, 0, 0)
    assert torch.equal(read_raw(small).codes, read_raw(large).codes)


def test_the_sensor_s_own_codes_are_written_where_there_are_some(tmp_path: Path) -> None:
    # Below black, and above white: what raw is confined to.
    codes = torch.tensor([0.0, 63.0, 64.0, 1023.0, 1024.0, 65535.0]).repeat(1, 4, 2)
    frame = Frame(CAMERA, codes=codes, raw=torch.zeros(3, 4, 12))
    write_dng(tmp_path / "a.dng", frame)
    assert torch.equal(read_raw(tmp_path / "a.dng").codes, codes)
    write_dng(tmp_path / "b.dng", frame, linear=True)
    assert not read_linear(tmp_path / "b.dng").raw.any()


@pytest.mark.parametrize(
    "levels",
    [
        {"white_level": 70000.0},
        {"white_level": 1.0},
        {"white_level": 100.0},
        {"white_level": 4000.5},
        {"white_level": 1000.0, "black_level": (-1.0,) * 4},
    ],
)
@pytest.mark.parametrize("linear", [False, True])
def test_levels_that_16_bits_cannot_hold_become_theirs(
    tmp_path: Path, levels: dict, linear: bool
) -> None:
    frame = Frame(camera=Camera(**levels), raw=torch.rand(3, 20, 30))
    write_dng(tmp_path / "a.dng", frame, linear=linear)
    tags = read_tags((tmp_path / "a.dng").read_bytes()).numbers
    assert set(tags[Tag.BLACK_LEVEL]) == {0.0}
    assert set(tags[Tag.WHITE_LEVEL]) == {65535.0}
    with tifffile.TiffFile(tmp_path / "a.dng") as tif:
        found = tif.pages.first.asarray() / 65535
    wanted = frame.raw.movedim(0, -1) if linear else remosaic(frame.raw, "RGGB")[0]
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    if not isinstance(levels.get("black_level"), tuple) and levels["white_level"] in (1.0, 100.0):
        return
    with pytest.raises(ValueError, match="16 bits"):
        write_mosaic(tmp_path / "b.dng", frame.replace(codes=torch.zeros(1, 20, 30)))


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lossless-jpeg, jpegxl, none"):
        write_dng(tmp_path / "a.dng", picture(), compress="deflate", linear=True)


def test_codes_of_another_form_are_refused(tmp_path: Path) -> None:
    frame = Frame(Camera(cfa="RGB"), codes=torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        write_mosaic(tmp_path / "a.dng", frame)


def test_remosaic_refuses_other_patterns() -> None:
    with pytest.raises(ValueError, match="RGGB"):
        remosaic(torch.zeros(3, 2, 2), "RGBW")


@given(st.floats(min_value=-(2.0**31) + 1, max_value=2.0**31 - 1))
def test_fractions_fit_and_are_close(value: float) -> None:
    numerator, denominator = _ratios([value])
    assert abs(numerator) < 2**31
    assert 0 < denominator < 2**31
    assert numerator / denominator == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_fractions_are_decimal() -> None:
    assert _ratios([0.1, 0.522449, 30.5, 2.0]) == (1, 10, 522449, 1000000, 61, 2, 2, 1)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("width", [128, 255, 256, 257])
def test_narrow_pictures_read_back(tmp_path: Path, width: int, linear: bool) -> None:
    # LibRaw 0.22 misreads lossless JPEG tiles that are wider than the picture.
    codes = torch.arange(3 * 96 * width).view(3, 96, width) * 7 % 4096
    frame = Frame(camera=Camera(make="a", white_level=4095.0), raw=codes / 4095)
    write_dng(tmp_path / "a.dng", frame, linear=linear)
    with rawpy.imread(str(tmp_path / "a.dng")) as raw:
        read = raw.raw_image_visible.astype(np.int64)
    wanted = codes.movedim(0, -1) if linear else remosaic(codes, "RGGB")[0]
    assert (read[..., :3] if linear else read).tolist() == wanted.tolist()

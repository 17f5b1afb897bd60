"""Every color filter, from the raw file to the picture and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from isp_meta import CaptureOptions, embed, io, read_metadata, read_raw, recover, verify
from isp_meta.camera import QUAD_BAYER, XTRANS
from isp_meta.comparison import compare
from isp_meta.metrics import psnr
from isp_meta.presets import camera as modern
from isp_meta.presets import minimal
from isp_meta.recovery.write import write_recovered
from isp_meta.registration import Placement, upright
from isp_meta.stages import BlackLevel

FILTERS = {"xtrans": XTRANS, "quad": QUAD_BAYER, "monochrome": "W", "linear": "RGB"}


@pytest.fixture(params=FILTERS)
def file(request, make_frame, tmp_path: Path):
    """A raw file of that filter, with a black level of its own at each place of its pattern."""
    cfa = FILTERS[request.param]
    levels = tuple(60.0 + place % 5 for place in range(len(cfa)))
    neutral = (1.0, 1.0, 1.0) if cfa == "W" else (0.5, 1.0, 0.625)
    frame = make_frame(102, 150, cfa=cfa, black_level=levels, as_shot_neutral=neutral)
    io.write_mosaic(tmp_path / "photo.dng", frame)
    return tmp_path / "photo.dng", frame


def test_the_file_is_read_as_it_was_written(file):
    path, frame = file
    read = read_raw(path)
    assert torch.equal(read.codes, frame.codes)
    for name in ("cfa", "black_level", "white_level", "as_shot_neutral"):
        assert getattr(read.camera, name) == getattr(frame.camera, name)


@pytest.mark.parametrize("alone", [False, True])
def test_without_loss_to_the_bit(file, alone, tmp_path):
    path, frame = file
    options = CaptureOptions(lossless="alone" if alone else True, effort=0)
    made = embed(path, tmp_path / "photo.jpg", options)
    recovered = recover(verify(made.path))
    assert torch.equal(recovered.codes, frame.codes)
    assert torch.equal(recovered.raw, made.frame.raw)
    assert recovered.camera == read_raw(path).camera
    again = tmp_path / "again.dng"
    for linear in (False, True):
        write_recovered(again, recovered, "dng", linear, overwrite=True)
        if not linear or frame.camera.cfa in ("W", "RGB"):
            assert torch.equal(read_raw(again).codes, frame.codes)
            assert read_raw(again).camera.black_level == frame.camera.black_level
        figures, _, _ = compare(path, again)
        assert figures.psnr > 60
    figures, _, _ = compare(path, made.path)
    assert figures.psnr == float("inf")


def test_by_samples_and_what_compare_says_of_it(file, tmp_path):
    path, frame = file
    made = embed(path, tmp_path / "photo.jpg")
    recovered = recover(verify(made.path))
    assert recovered.raw.shape == (3, 102, 150)
    figures, got, truth = compare(path, made.path)
    assert torch.equal(got, recovered.raw)
    assert figures.psnr > 38
    assert figures.stops
    for linear in (False, True):
        again = tmp_path / f"{linear}.dng"
        write_recovered(again, recovered, "dng", linear)
        assert compare(path, again)[0].psnr > 36
    if frame.camera.cfa == "W":
        assert torch.equal(truth, truth[:1].expand(3, -1, -1))


@pytest.mark.parametrize("lossless", [False, True])
def test_a_monochrome_raw_goes_with_a_gray_jpeg(make_frame, tmp_path, lossless):
    frame = make_frame(102, 150, cfa="W", as_shot_neutral=(1.0, 1.0, 1.0))
    seen = minimal()(frame).srgb[1]
    Image.fromarray((seen * 255).round().byte().numpy()).save(tmp_path / "gray.jpg", quality=95)
    options = CaptureOptions(lossless=lossless)
    made = embed(frame, tmp_path / "photo.jpg", options, existing=tmp_path / "gray.jpg")
    with Image.open(made.path) as picture:
        assert picture.mode == "L"
    recovered = recover(verify(made.path))
    assert psnr(recovered.raw, made.frame.raw) > 38
    assert lossless == (recovered.codes is not None and torch.equal(recovered.codes, frame.codes))


@pytest.mark.parametrize("turn", [3, 6])
def test_a_turned_and_cropped_jpeg_finds_its_place(file, tmp_path, turn):
    path, frame = file
    seen = minimal()(frame, keep=("raw", "srgb"))
    part = upright(seen.srgb, turn)[:, 5:, 7:].contiguous()
    (tmp_path / "part.jpg").write_bytes(io.encode_jpeg(part, quality=97))
    made = embed(path, tmp_path / "photo.jpg", existing=tmp_path / "part.jpg")
    assert made.registration.placement == Placement(turn, 5, 7)
    figures, _, truth = compare(path, made.path)
    assert torch.equal(truth, upright(seen.raw, turn)[:, 5:, 7:])
    assert figures.psnr > 36
    # The mosaic begins elsewhere: its colors under the camera that travels are the sensor's.
    camera = read_metadata(made.path).payload.camera
    mosaic = upright(BlackLevel()(frame).mosaic, turn)[:, 5:, 7:]
    if camera.period > 1:
        again = io.remosaic(upright(seen.raw, turn)[:, 5:, 7:], camera.cfa)
        torch.testing.assert_close(again, mosaic)


def test_a_modern_camera_renders_it(file):
    path, _ = file
    rendered = modern()(read_raw(path)).srgb
    assert rendered.shape == (3, 102, 150)
    assert bool(rendered.isfinite().all())

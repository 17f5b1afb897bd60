"""embed(lossless=True) and what recovery makes of it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import rawpy
import torch
from PIL import Image

from isp_meta import CaptureOptions, Embedded, Frame, Pipeline, embed, io, read_metadata, recover
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.data import sample_path
from isp_meta.errors import PictureMismatch
from isp_meta.stages import BlackLevel, ColorMatrix, Demosaic, Gamma, Quantize, WhiteBalance

FrameMaker = Callable[..., Frame]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    path = tmp_path_factory.mktemp("lossless") / "sample.jpg"
    return embed(sample_path(), path, CaptureOptions(lossless=True))


def visible(path: Path) -> np.ndarray:
    with rawpy.imread(str(path)) as raw:
        return raw.raw_image_visible.copy()


def saved_again(made: Embedded, quality: int = 90) -> Path:
    """As an editor saves a JPEG of which it keeps the metadata."""
    whole, file = made.path.read_bytes(), BytesIO()
    Image.open(BytesIO(whole)).save(file, "JPEG", quality=quality, subsampling=0)
    path = made.path.with_name("again.jpg")
    path.write_bytes(jpeg_carrier.insert(file.getvalue(), jpeg_carrier.extract(whole)))
    return path


def test_recovered_dng_holds_the_codes_of_the_original(sample, tmp_path):
    dng = tmp_path / "again.dng"
    io.write_mosaic(dng, recover(sample.path))
    assert np.array_equal(visible(dng), visible(sample_path()))
    with rawpy.imread(str(dng)) as found, rawpy.imread(str(sample_path())) as true:
        for name in ("black_level_per_channel", "white_level", "color_desc"):
            assert getattr(found, name) == getattr(true, name), name
        assert np.array_equal(found.raw_pattern, true.raw_pattern)
        assert found.sizes.flip == true.sizes.flip
    again, original = io.read_raw(dng), io.read_raw(sample_path())
    for name in ("cfa", "black_level", "white_level", "as_shot_neutral", "orientation"):
        assert getattr(again.camera, name) == getattr(original.camera, name), name


def test_recovered_raw_is_what_was_embedded(sample):
    frame = recover(sample.path)
    assert torch.equal(frame.codes, io.read_raw(sample_path()).codes)
    assert torch.equal(frame.raw, sample.frame.raw)
    assert len(frame.samples) == len(sample.frame.samples)


def test_costs_less_than_the_mosaic_beside_the_jpeg(sample, tmp_path):
    io.write_mosaic(tmp_path / "mosaic.dng", recover(sample.path))
    assert sample.payload_bytes < 0.6 * (tmp_path / "mosaic.dng").stat().st_size


@pytest.mark.parametrize("method", ["bilinear", "menon"])
def test_raw_is_demosaiced_as_it_was(tmp_path, make_frame, method):
    stages = [BlackLevel(), Demosaic(method), WhiteBalance(), ColorMatrix(), Gamma(), Quantize(8)]
    pipeline = Pipeline(stages)
    made = embed(make_frame(), tmp_path / "a.jpg", CaptureOptions(lossless=True), pipeline=pipeline)
    assert torch.equal(recover(made.path).raw, made.frame.raw)


@pytest.mark.parametrize("carrier", ["app11", "com", "sidecar"])
@pytest.mark.parametrize("cfa", ["RGGB", "GBRG"])
def test_every_carrier_holds_it(tmp_path, make_frame, carrier, cfa):
    frame = make_frame(97, 131, cfa=cfa)
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(lossless=True, carrier=carrier))
    assert torch.equal(recover(made.path).codes, frame.codes)
    assert sidecar_path(made.path).exists() == (carrier == "sidecar")


def test_codes_beyond_white_and_below_black_stay(tmp_path, make_frame):
    frame = make_frame()
    codes = frame.codes.clone()
    codes[0, :9, :9], codes[0, 9:20, :9] = 4200.0, 3.0
    frame = frame.replace(codes=codes)
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(lossless=True))
    again = recover(made.path)
    assert torch.equal(again.codes, codes)
    io.write_mosaic(tmp_path / "a.dng", again)
    assert np.array_equal(visible(tmp_path / "a.dng"), codes[0].numpy())


def test_encoded_again_the_samples_serve(tmp_path, make_frame):
    made = embed(make_frame(), tmp_path / "a.jpg", CaptureOptions(lossless=True))
    path = saved_again(made)
    metadata = read_metadata(path)
    assert metadata.match == "recompressed"
    assert metadata.payload.mosaic is not None
    assert metadata.usable_mosaic is None
    frame = recover(path)
    assert frame.codes is None
    assert float((frame.raw - made.frame.raw).abs().mean()) < 0.02


def test_alone_it_outlives_being_encoded_again(tmp_path, make_frame):
    frame = make_frame(384, 512)
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(lossless="alone", effort=0))
    assert torch.equal(recover(saved_again(made, quality=80)).codes, frame.codes)
    guided = embed(frame, tmp_path / "b.jpg", CaptureOptions(lossless=True, effort=0))
    assert guided.payload_bytes < made.payload_bytes


def test_another_picture_is_refused_all_the_same(tmp_path, make_frame):
    made = embed(make_frame(192, 256), tmp_path / "a.jpg", CaptureOptions(lossless="alone"))
    other = embed(
        make_frame(192, 256, seed=2), tmp_path / "b.jpg", CaptureOptions(carrier="sidecar")
    )
    payload = jpeg_carrier.extract(made.path.read_bytes())
    other.path.write_bytes(jpeg_carrier.insert(other.path.read_bytes(), payload))
    with pytest.raises(PictureMismatch):
        recover(other.path)


def test_into_a_jpeg_that_exists(tmp_path, make_frame):
    frame = make_frame()
    plain = embed(
        frame,
        tmp_path / "plain.jpg",
        CaptureOptions(carrier="sidecar", quality=70, subsampling="4:2:0"),
    )
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(lossless=True), existing=plain.path)
    assert torch.equal(recover(made.path).codes, frame.codes)


def test_not_into_a_jpeg_that_is_turned(tmp_path, make_frame):
    frame = make_frame(192, 256)
    plain = embed(frame, tmp_path / "plain.jpg", CaptureOptions(carrier="sidecar"))
    turned = tmp_path / "turned.jpg"
    Image.open(plain.path).transpose(Image.Transpose.ROTATE_180).save(turned, quality=95)
    with pytest.raises(PictureMismatch, match="turned, cropped"):
        embed(frame, tmp_path / "a.jpg", CaptureOptions(lossless=True), existing=turned)
    assert not (tmp_path / "a.jpg").exists()


def test_codes_that_are_not_whole(tmp_path, make_frame):
    frame = make_frame()
    with pytest.raises(ValueError, match="whole codes"):
        embed(
            frame.replace(codes=frame.codes + 0.25),
            tmp_path / "a.jpg",
            CaptureOptions(lossless=True),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("change", "text"), [(0.5, "whole numbers"), (-9999.0, "whole numbers")])
def test_codes_that_no_file_holds_are_refused(tmp_path, make_frame, change, text):
    frame = make_frame()
    with pytest.raises(ValueError, match=text):
        io.write_mosaic(tmp_path / "a.dng", frame.replace(codes=frame.codes + change))
    with pytest.raises(ValueError, match="must be"):
        io.write_mosaic(tmp_path / "a.dng", frame.replace(codes=frame.codes[0]))
    assert list(tmp_path.iterdir()) == []

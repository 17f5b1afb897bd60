import json
import math

import pytest
import torch

from isp_meta import carriers, io, presets
from isp_meta.capture.embed import embed
from isp_meta.comparison import compare
from isp_meta.data import sample_path
from isp_meta.errors import ImageFileError, PayloadMissing, PictureMismatch, RawFileError
from isp_meta.metrics import psnr, ssim
from isp_meta.pipeline import Pipeline
from isp_meta.recovery.recover import recover
from isp_meta.registration import upright
from isp_meta.samplers import UniformSampler
from isp_meta.stages import BlackLevel, Demosaic, as_shot_gains

HEIGHT, WIDTH = 96, 256


def to_raw(frame, method="malvar"):
    return Pipeline([BlackLevel(), Demosaic(method)])(frame)


def write_crop(path, width=WIDTH):
    """A part of the sample with land and burnt sky, as a raw file of its own."""
    frame = io.read_raw(sample_path())
    frame = to_raw(frame.replace(codes=frame.codes[:, HEIGHT : 2 * HEIGHT, :width]))
    io.write_dng(path, frame)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    raw = write_crop(folder / "raw.dng")
    made = embed(raw, folder / "a.jpg", sampler=UniformSampler())
    recovered = recover(made.path)
    io.write_dng(folder / "linear.dng", recovered, linear=True)
    io.write_dng(folder / "mosaic.dng", recovered)
    io.write_tiff16(folder / "linear.tif", recovered.raw)
    io.write_npy(folder / "linear.npy", recovered.raw)
    return folder


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_pictures_of_other_kinds_that_carry_raw_are_recovered(folder, name):
    made = embed(folder / "raw.dng", folder / name, sampler=UniformSampler(), overwrite=True)
    figures, got, _truth = compare(folder / "raw.dng", folder / name)
    assert torch.equal(got, recover(made.path).raw)
    assert figures.bits_per_pixel == made.bits_per_pixel
    (folder / f"bare{made.path.suffix}").write_bytes(carriers.strip(made.path.read_bytes()))
    if name == "a.tif":  # 16 bits: taken for linear, as ever
        bare, linear, _truth = compare(folder / "raw.dng", folder / "bare.tif")
        assert bare.bits_per_pixel is None
        assert torch.allclose(linear, made.frame.srgb, atol=1e-5)


def test_a_jpegs_figures_are_those_of_its_recovery(folder):
    figures, got, truth = compare(folder / "raw.dng", folder / "a.jpg")
    recovered = recover(folder / "a.jpg")
    frame = io.read_raw(folder / "raw.dng")
    assert torch.equal(got, recovered.raw)
    assert torch.equal(truth, to_raw(frame).raw)
    gains = as_shot_gains(frame.camera.as_shot_neutral)[:, None, None].float()
    unclipped = (truth * gains).amax(0) < 1
    mosaics = [io.remosaic(picture, frame.camera.cfa) for picture in (got, truth)]
    assert 0.1 < figures.unclipped < 0.9999
    assert figures.unclipped == pytest.approx(float(unclipped.double().mean()), abs=1e-6)
    assert figures.psnr == psnr(got, truth) > 25
    assert figures.psnr_unclipped == psnr(got, truth, unclipped)
    assert figures.psnr_mosaic == psnr(*mosaics)
    assert len({figures.psnr, figures.psnr_unclipped, figures.psnr_mosaic}) == 3
    assert figures.ssim == ssim(got, truth) > 0.8
    assert (figures.height, figures.width) == (HEIGHT, WIDTH)


def test_bits_a_pixel_are_those_of_the_payload(folder, tmp_path):
    made = embed(folder / "raw.dng", tmp_path / "a.jpg", sampler=UniformSampler())
    figures, _, _ = compare(folder / "raw.dng", tmp_path / "a.jpg")
    assert (
        figures.bits_per_pixel
        == made.bits_per_pixel
        == pytest.approx(8 * made.payload_bytes / (HEIGHT * WIDTH))
    )


def test_a_jpegs_metadata_says_how_the_truth_is_demosaiced(folder, tmp_path):
    pipeline = Pipeline([BlackLevel(), Demosaic("bilinear"), *list(presets.minimal())[2:]])
    embed(folder / "raw.dng", tmp_path / "a.jpg", pipeline=pipeline)
    _, _, truth = compare(folder / "raw.dng", tmp_path / "a.jpg")
    assert torch.equal(truth, to_raw(io.read_raw(folder / "raw.dng"), "bilinear").raw)


@pytest.mark.parametrize("name", ["linear.dng", "linear.tif", "linear.npy"])
def test_files_recovered_earlier_measure_as_the_jpeg_does(folder, name):
    from_jpeg, _, _ = compare(folder / "raw.dng", folder / "a.jpg")
    figures, _, _ = compare(folder / "raw.dng", folder / name)
    assert figures.bits_per_pixel is None
    assert figures.psnr == pytest.approx(from_jpeg.psnr, abs=0.05)
    assert figures.ssim == pytest.approx(from_jpeg.ssim, abs=0.002)


def test_a_recovered_mosaic_is_demosaiced_as_the_truth_is(folder):
    from_jpeg, _, _ = compare(folder / "raw.dng", folder / "a.jpg")
    figures, got, _ = compare(folder / "raw.dng", folder / "mosaic.dng", demosaic="bilinear")
    assert torch.equal(got, to_raw(io.read_raw(folder / "mosaic.dng"), "bilinear").raw)
    assert figures.psnr_mosaic == pytest.approx(from_jpeg.psnr_mosaic, abs=0.05)


def test_a_raw_file_against_itself_is_equal(folder):
    figures, got, truth = compare(folder / "raw.dng", folder / "raw.dng")
    assert torch.equal(got, truth)
    assert figures.psnr == figures.psnr_unclipped == figures.psnr_mosaic == math.inf
    assert figures.ssim == pytest.approx(1, abs=1e-6)


def test_figures_can_be_written_as_json(folder):
    figures, _, _ = compare(folder / "raw.dng", folder / "a.jpg")
    again = json.loads(json.dumps(figures.as_dict(), allow_nan=False))
    assert again == figures.as_dict()
    assert again["psnr"] == figures.psnr


@pytest.mark.parametrize("name", ["a.jpg", "linear.npy", "mosaic.dng"])
def test_pictures_of_other_pixels_are_refused_and_both_named(folder, tmp_path, name):
    other = tmp_path / "other.dng"
    noise = torch.rand((3, HEIGHT, WIDTH + 2), generator=torch.Generator().manual_seed(1))
    frame = io.read_raw(folder / "raw.dng").replace(raw=noise, codes=None)
    io.write_dng(other, frame)
    with pytest.raises(PictureMismatch, match=rf"{name}.*256x96.*other\.dng has 258x96"):
        compare(other, folder / name)


@pytest.mark.parametrize("name", ["a.jpg", "linear.npy", "linear.dng"])
def test_a_part_is_laid_over_the_raw(folder, tmp_path, name):
    other = write_crop(tmp_path / "other.dng", WIDTH + 2)
    figures, got, truth = compare(other, folder / name)
    whole, _, _ = compare(folder / "raw.dng", folder / name)
    assert got.shape == truth.shape == (3, HEIGHT, WIDTH)
    # Demosaicing differs at the last columns alone.
    assert figures.psnr == pytest.approx(whole.psnr, abs=1)


def test_a_foreign_jpeg_turned_and_cropped_is_measured(folder, tmp_path):
    plain = io.decode_image((folder / "a.jpg").read_bytes(), "a.jpg")
    source = tmp_path / "other.jpg"
    source.write_bytes(io.encode_jpeg(upright(plain, 6)[:, 4:, 3:-6]))
    made = embed(folder / "raw.dng", tmp_path / "b.jpg", sampler=UniformSampler(), existing=source)
    figures, got, truth = compare(folder / "raw.dng", made.path)
    whole, _, _ = compare(folder / "raw.dng", folder / "a.jpg")
    assert got.shape == truth.shape == (3, WIDTH - 4, HEIGHT - 9)
    assert figures.psnr > whole.psnr - 4
    assert figures.psnr_mosaic > whole.psnr_mosaic - 4
    turned = tmp_path / "turned.dng"
    io.write_dng(turned, recover(made.path), linear=True)
    again, _, _ = compare(folder / "raw.dng", turned)
    assert again.psnr == pytest.approx(figures.psnr, abs=0.1)


def test_files_that_do_not_serve_are_refused_by_name(folder, tmp_path):
    bare = tmp_path / "bare.jpg"
    bare.write_bytes(io.encode_jpeg(torch.rand(3, HEIGHT, WIDTH)))
    with pytest.raises(PayloadMissing, match=r"bare\.jpg"):
        compare(folder / "raw.dng", bare)
    with pytest.raises(ImageFileError, match=r"none\.jpg"):
        compare(folder / "raw.dng", tmp_path / "none.jpg")
    with pytest.raises(RawFileError, match=r"none\.dng"):
        compare(tmp_path / "none.dng", folder / "a.jpg")
    with pytest.raises(RawFileError, match=r"a\.png"):
        compare(folder / "raw.dng", tmp_path / "a.png")

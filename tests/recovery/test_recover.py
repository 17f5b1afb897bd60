from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import rawpy
import torch
from PIL import Image, ImageDraw

from isp_meta import (
    Camera,
    CaptureOptions,
    Embedded,
    Frame,
    Reconstructor,
    embed,
    io,
    read_metadata,
    recover,
    verify,
    write_dng,
)
from isp_meta.baselines import RBFReconstructor
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.codec import Binding, Payload, Steps, encode, quantize
from isp_meta.data import sample_path
from isp_meta.errors import ImageFileError, PayloadCorrupt, PayloadMissing, PictureMismatch
from isp_meta.metrics import psnr
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samples import Samples

FrameMaker = Callable[..., Frame]
Picture = Image.Image


@pytest.fixture
def made(tmp_path, make_frame) -> Embedded:
    return embed(make_frame(), tmp_path / "a.jpg")


@pytest.fixture(scope="module")
def measured_sample(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """The sample, with what the sensor measured."""
    path = tmp_path_factory.mktemp("measured") / "sample.jpg"
    return embed(sample_path(), path, CaptureOptions(values="measured"))


def saved_again(made: Embedded, edit: Callable[[Picture], Picture], **options: object) -> Path:
    """What an editor makes of a JPEG that keeps metadata it does not know."""
    whole = made.path.read_bytes()
    file = BytesIO()
    edit(Image.open(BytesIO(whole))).save(file, "JPEG", **{"quality": 90, **options})
    path = made.path.with_name("again.jpg")
    path.write_bytes(jpeg_carrier.insert(file.getvalue(), jpeg_carrier.extract(whole)))
    return path


def retouched(picture: Picture) -> Picture:
    ImageDraw.Draw(picture).rectangle((0, 0, 50, 50), fill=(255, 0, 255))
    return picture


def test_recovers_exactly_what_was_stored(embedded_sample):
    metadata = read_metadata(embedded_sample.path)
    assert (metadata.match, metadata.source) == ("exact", embedded_sample.path)
    assert metadata.size == embedded_sample.payload_bytes
    assert metadata.pixels.shape == (3, 768, 1024)
    kept, true = metadata.payload.samples, embedded_sample.frame.samples
    assert kept.index.equal(true.index)
    assert kept.value.equal(quantize(true.value, Steps()))
    steps: list[str] = []
    frame = recover(embedded_sample.path, progress=steps.append)
    assert frame.filled == {"raw", "srgb", "samples"}
    assert frame.camera == embedded_sample.frame.camera
    assert 0 <= float(frame.raw.min()) <= float(frame.raw.max()) <= 1
    assert kept.control
    assert frame.srgb.equal(metadata.pixels.float() / 255)
    assert steps == ["reading", "reconstructing"]


def test_reconstructor_can_be_chosen(tmp_path, make_frame):
    made = embed(make_frame(24, 32), tmp_path / "a.jpg", CaptureOptions(values="measured"))
    slow = recover(made.path, reconstructor=RBFReconstructor())
    assert not slow.raw.equal(recover(made.path).raw)
    assert psnr(slow.raw, made.frame.raw) > 25


def test_control_values_are_raw_to_no_other(tmp_path, make_frame):
    made = embed(make_frame(64, 80), tmp_path / "a.jpg")
    for reconstructor in (RBFReconstructor(), Mean()):
        with pytest.raises(ValueError, match=r"needs measured values; .*values=.measured"):
            recover(made.path, reconstructor=reconstructor)


class Mean(Reconstructor):
    """One of a user's own, that takes the samples for what the sensor saw."""

    def forward(self, frame: Frame) -> torch.Tensor:
        samples = frame.require("samples", "Mean")
        return samples.value.mean(0)[:, None, None].expand(3, samples.height, samples.width)


# --- where the metadata is


def test_sidecar_is_found_by_itself(tmp_path, make_frame, made):
    beside = embed(make_frame(), tmp_path / "b.jpg", CaptureOptions(carrier="sidecar"))
    assert recover(beside.path).raw.equal(recover(made.path).raw)
    assert read_metadata(beside.path).source == beside.sidecar


def with_sidecar(made: Embedded) -> bytes:
    """Writes the JPEG's own payload beside it; returns the JPEG."""
    whole = made.path.read_bytes()
    sidecar_path(made.path).write_bytes(jpeg_carrier.extract(whole))
    return whole


def test_sidecar_serves_where_the_metadata_was_stripped(made):
    expected = recover(made.path).raw
    made.path.write_bytes(jpeg_carrier.strip(with_sidecar(made)))
    metadata = read_metadata(made.path)
    assert (metadata.match, metadata.source) == ("exact", sidecar_path(made.path))
    assert recover(made.path).raw.equal(expected)


def test_sidecar_serves_where_the_metadata_is_damaged(made):
    whole = bytearray(with_sidecar(made))
    whole[whole.index(b"\x89ISPM") + 200] ^= 1
    made.path.write_bytes(whole)
    assert read_metadata(made.path).source == sidecar_path(made.path)
    sidecar_path(made.path).unlink()
    with pytest.raises(PayloadCorrupt, match=r"a\.jpg: .*damaged"):
        read_metadata(made.path)


def test_sidecar_serves_a_picture_that_is_no_jpeg(made):
    with_sidecar(made)
    expected = recover(made.path).raw
    png = made.path.with_name("a.png")
    Image.open(BytesIO(made.path.read_bytes())).save(png)
    with pytest.raises(PayloadMissing, match=r"a\.png: the PNG file carries no raw metadata"):
        read_metadata(png)
    sidecar_path(png).write_bytes(sidecar_path(made.path).read_bytes())
    assert read_metadata(png).match == "exact"
    assert recover(png).raw.equal(expected)


def test_whole_metadata_in_the_picture_goes_before_any_sidecar(made):
    sidecar_path(made.path).write_bytes(b"rubbish")
    assert read_metadata(made.path).source == made.path


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_damaged_sidecar_is_named(made, content):
    packed = jpeg_carrier.extract(with_sidecar(made))
    made.path.write_bytes(jpeg_carrier.strip(made.path.read_bytes()))
    sidecar_path(made.path).write_bytes(packed[:-1] if content is None else content)
    with pytest.raises((PayloadCorrupt, ImageFileError), match=r"a\.jpg\.ispmeta: "):
        read_metadata(made.path)


def test_picture_without_metadata_says_that_there_is_no_sidecar_either(made):
    made.path.write_bytes(jpeg_carrier.strip(made.path.read_bytes()))
    with pytest.raises(PayloadMissing, match=r"a\.jpg: .*no sidecar a\.jpg\.ispmeta"):
        recover(made.path)


def test_folder_in_place_of_the_sidecar_is_none(made):
    made.path.write_bytes(jpeg_carrier.strip(made.path.read_bytes()))
    sidecar_path(made.path).mkdir()
    with pytest.raises(PayloadMissing):
        recover(made.path)


def test_name_too_long_to_have_a_sidecar(made):
    long = made.path.with_name("x" * 251 + ".jpg")
    made.path.rename(long)
    assert read_metadata(long).match == "exact"
    long.write_bytes(jpeg_carrier.strip(long.read_bytes()))
    with pytest.raises(PayloadMissing):
        read_metadata(long)


# --- whether it is still the picture


def test_edits_of_other_metadata_change_nothing(made):
    whole = made.path.read_bytes()
    made.path.write_bytes(whole[:2] + b"\xff\xfe\x00\x08theirs" + whole[2:] + b"trailing")
    assert read_metadata(made.path).match == "exact"


def test_lossless_recompression_is_exact(made):
    again = made.path.with_name("again.jpg")
    command = ["jpegtran", "-progressive", "-copy", "all", "-outfile", again, made.path]
    subprocess.run(command, check=True)
    assert jpeg_carrier.strip(again.read_bytes()) != jpeg_carrier.strip(made.path.read_bytes())
    assert read_metadata(again).match == "exact"
    assert recover(again).raw.equal(recover(made.path).raw)


def test_recompressed_picture_is_recovered_nearly_as_well(tmp_path, embedded_sample):
    copy = tmp_path / "a.jpg"
    shutil.copy(embedded_sample.path, copy)
    local = Embedded(copy, None, embedded_sample.frame, 0, 0)
    again = saved_again(local, lambda picture: picture, quality=90)
    assert read_metadata(again).match == "recompressed"
    assert psnr(recover(again).raw, embedded_sample.frame.raw) > 37


def test_predicted_values_follow_their_pixels(tmp_path, make_frame):
    made = embed(make_frame(192, 256), tmp_path / "a.jpg", CaptureOptions(coding="predicted"))
    plain = embed(make_frame(192, 256), tmp_path / "b.jpg")
    assert made.payload_bytes < plain.payload_bytes
    expected = recover(plain.path).raw
    assert recover(made.path).raw.equal(expected)
    moved = tmp_path / "moved.jpg"
    command = ["jpegtran", "-progressive", "-copy", "all", "-outfile", moved, made.path]
    subprocess.run(command, check=True)
    assert recover(moved).raw.equal(expected)
    png = tmp_path / "a.png"
    Image.open(made.path).save(png)
    sidecar_path(png).write_bytes(jpeg_carrier.extract(made.path.read_bytes()))
    assert recover(png).raw.equal(expected)
    for again in (saved_again(made, lambda picture: picture), saved_again(made, retouched)):
        for read in (read_metadata, recover, lambda path: recover(path, force=True)):
            with pytest.raises(PictureMismatch, match=r"again\.jpg: .*predicted from pixels that"):
                read(again)


def test_edited_picture_is_refused_unless_forced(tmp_path, make_frame):
    made = embed(make_frame(192, 256), tmp_path / "a.jpg")
    again = saved_again(made, retouched)
    assert read_metadata(again).match == "edited"
    with pytest.raises(PictureMismatch, match=r"again\.jpg: its pixels .*; pass force=True"):
        recover(again)
    forced = recover(again, force=True).raw
    assert psnr(forced[:, 64:, 64:], made.frame.raw[:, 64:, 64:]) > 30


def test_metadata_of_another_picture_is_refused_unless_forced(tmp_path, make_frame):
    made = embed(make_frame(192, 256), tmp_path / "a.jpg")
    other = embed(make_frame(192, 256, seed=2), tmp_path / "b.jpg")
    swapped = jpeg_carrier.insert(
        other.path.read_bytes(), jpeg_carrier.extract(made.path.read_bytes())
    )
    other.path.write_bytes(swapped)
    with pytest.raises(PictureMismatch, match=r"b\.jpg: its metadata belongs to another picture"):
        recover(other.path)
    assert recover(other.path, force=True).raw.shape == (3, 192, 256)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "edit",
    [
        lambda picture: picture.resize((64, 48)),
        lambda picture: picture.crop((0, 0, 127, 96)),
        lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    ],
)
def test_picture_of_another_size_is_always_refused(made, edit, force):
    again = saved_again(made, edit)
    assert read_metadata(again).match == "foreign"
    with pytest.raises(PictureMismatch, match=r"again\.jpg: has .*its metadata is for 128x96"):
        recover(again, force=force)


def test_metadata_without_samples_is_refused(made):
    index = torch.zeros(0, dtype=torch.int64)
    whole = made.path.read_bytes()
    binding = Binding.of(io.decode_image(whole, ""), jpeg_carrier.scan_digest(whole))
    payload = Payload(Samples(index, torch.zeros(0, 3), 96, 128), Camera(), binding)
    made.path.write_bytes(jpeg_carrier.insert(whole, encode(payload)))
    with pytest.raises(PayloadCorrupt, match=r"a\.jpg: holds no samples"):
        recover(made.path)


# --- what can be written of it


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (33, 47)])
def test_tiny_pictures_can_be_written(tmp_path, make_frame, size, linear):
    frame = recover(embed(make_frame(*size), tmp_path / "a.jpg").path)
    write_dng(tmp_path / "a.dng", frame, linear=linear)
    if linear:
        again = io.read_linear(tmp_path / "a.dng")
        assert float((again.raw - frame.raw).abs().max()) <= 0.51 / (4095 - 64)


@pytest.mark.parametrize("linear", [True, False])
def test_dng_of_the_sample_reopens_as_the_raw_file_does(tmp_path, measured_sample, linear):
    frame = recover(measured_sample.path)
    path = tmp_path / "a.dng"
    write_dng(path, frame, linear=linear)
    with rawpy.imread(str(sample_path())) as raw, rawpy.imread(str(path)) as again:
        assert again.black_level_per_channel == raw.black_level_per_channel
        assert again.white_level == raw.white_level
        assert again.sizes.flip == raw.sizes.flip
        wanted, got = (np.array(r.camera_whitebalance[:3]) for r in (raw, again))
        np.testing.assert_allclose(got / got[1], wanted / wanted[1], rtol=1e-4)
        codes = again.raw_image_visible.astype(np.int64)
        if not linear:
            assert again.raw_pattern.tolist() == raw.raw_pattern.tolist()
            # The mosaic is what the sensor measured, wherever it was kept, to half a step.
            index = measured_sample.frame.samples.index.numpy()
            true = raw.raw_image_visible.astype(np.int64)
            half = 16383 * 1.875 / Steps().levels / 2
            assert np.abs(codes.flat[index] - true.flat[index]).max() <= half + 1
    if linear:
        kept = frame.samples
        at = io.read_linear(path).raw.reshape(3, -1)[:, kept.index].T
        assert float((at - kept.value).abs().max()) < 1.1 / 16383


class Wrapper(Reconstructor):
    """One of a user's own, around the default."""

    takes_controls = True

    def __init__(self) -> None:
        super().__init__()
        self.inner = LocalRBFReconstructor.shipped()

    def forward(self, frame: Frame) -> torch.Tensor:
        return self.inner(frame)


@pytest.mark.parametrize(
    "arguments",
    [
        {"device": "cpu:0"},
        {"reconstructor": Wrapper()},
        {"reconstructor": Wrapper(), "device": "cpu:0"},
    ],
    ids=["device", "wrapper", "both"],
)
def test_every_way_to_the_default_keeps_the_enhancement(embedded_sample, arguments):
    assert read_metadata(embedded_sample.path).payload.enhancement is not None
    raw = recover(embedded_sample.path, **arguments).raw
    assert raw.equal(recover(embedded_sample.path).raw)
    assert psnr(raw, embedded_sample.frame.raw) > 48


def test_what_was_read_serves_in_place_of_its_file(embedded_sample):
    metadata = read_metadata(embedded_sample.path)
    assert recover(metadata).raw.equal(recover(embedded_sample.path).raw)
    assert verify(metadata) is metadata

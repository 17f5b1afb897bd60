"""embed() into a JPEG that exists."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

import isp_meta
from isp_meta import CaptureOptions, Frame, Pipeline, embed, io, read_metadata, recover
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.errors import CarrierError, ImageFileError, OutputError, PictureMismatch
from isp_meta.metrics import psnr
from isp_meta.registration import Placement, upright
from isp_meta.samplers import UniformSampler
from isp_meta.stages import SampleMetadata

FrameMaker = Callable[..., Frame]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def opened(path: Path) -> Image.Image:
    return Image.open(BytesIO(path.read_bytes()))


def stored(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    samples = read_metadata(path).payload.samples
    return samples.index, samples.value


@pytest.fixture
def camera_jpeg(tmp_path, make_frame) -> Callable[..., Path]:
    """A JPEG of the frame's scene as another program writes it, with EXIF and a color profile."""

    def make(edit: Callable[[Image.Image], Image.Image] = lambda picture: picture) -> Path:
        rendered = isp_meta.presets.minimal()(make_frame()).srgb
        codes = io.to_uint8(rendered).movedim(0, -1).numpy()
        exif = Image.Exif()
        exif[0x010F] = "Another maker"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        path = tmp_path / "camera.jpg"
        edited = edit(Image.fromarray(codes))
        edited.save(path, quality=88, exif=exif, icc_profile=profile, comment=b"theirs")
        return path

    return make


def contrast(picture: Image.Image) -> Image.Image:
    curve = [round(255 * (level / 255) ** 0.5 * 0.8 + 20) for level in range(256)]
    return picture.point(curve * 3)


def burnt(picture: Image.Image) -> Image.Image:
    return picture.point([min(255, 6 * level // 5) for level in range(256)] * 3)


@pytest.mark.parametrize(
    "edit", [lambda picture: picture, contrast, burnt, ImageOps.grayscale, ImageOps.autocontrast]
)
def test_jpeg_of_the_scene_stays_to_the_byte(tmp_path, make_frame, camera_jpeg, edit):
    source = camera_jpeg(edit)
    before = source.read_bytes()
    measured = CaptureOptions(values="measured")
    made = embed(make_frame(), tmp_path / "a.jpg", measured, existing=source)
    assert source.read_bytes() == before
    whole = made.path.read_bytes()
    assert jpeg_carrier.strip(whole) == before
    assert made.picture_bytes == len(before)
    assert opened(made.path).getexif()[0x010F] == "Another maker"
    assert opened(made.path).info["comment"] == b"theirs"
    assert read_metadata(made.path).match == "exact"
    index, value = stored(made.path)
    assert recover(made.path).raw.reshape(3, -1)[:, index].T.equal(value)


def test_jpeg_can_be_embedded_into_in_place_and_again(tmp_path, make_frame, camera_jpeg):
    path = camera_jpeg()
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        embed(make_frame(), path, existing=path)
    for carrier in ("com", "app11"):
        embed(make_frame(), path, CaptureOptions(carrier=carrier), existing=path, overwrite=True)
        assert jpeg_carrier.strip(path.read_bytes()) == before
        assert read_metadata(path).source == path
    embed(make_frame(), path, CaptureOptions(carrier="sidecar"), existing=path, overwrite=True)
    assert path.read_bytes() == before


TURNED = {
    1: lambda picture: picture,
    2: ImageOps.mirror,
    3: lambda picture: picture.transpose(Image.Transpose.ROTATE_180),
    4: ImageOps.flip,
    5: lambda picture: picture.transpose(Image.Transpose.TRANSPOSE),
    6: lambda picture: picture.transpose(Image.Transpose.ROTATE_270),
    7: lambda picture: picture.transpose(Image.Transpose.TRANSVERSE),
    8: lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
}


@pytest.mark.parametrize("turn", TURNED)
def test_a_jpeg_turned_and_cropped_gets_the_raw_of_its_own_pixels(
    tmp_path, make_frame, camera_jpeg, turn
):
    def edit(picture: Image.Image) -> Image.Image:
        whole = TURNED[turn](picture)
        return whole.crop((3, 5, whole.width - 6, whole.height - 1))

    frame = make_frame(orientation=6, crop=(10, 20), cfa="GRBG")
    finest = CaptureOptions(levels=65535, values="measured")
    made = embed(frame, tmp_path / "a.jpg", finest, existing=camera_jpeg(edit))
    assert made.registration is not None
    assert made.registration.placement == Placement(turn, 5, 3)
    whole = isp_meta.presets.minimal()(frame).raw.clamp(0, 1)
    true = upright(whole, turn)[:, 5:-1, 3:-6]
    recovered = recover(made.path)
    assert recovered.raw.shape == true.shape
    samples = recovered.samples
    assert len(samples) > 50
    kept = true.flatten(1)[:, samples.index].T
    assert (samples.value - kept).abs().max() < 2**-14
    assert psnr(recovered.raw, true) > 30
    seen = upright(true, recovered.camera.orientation)
    all_seen = upright(upright(whole, turn), recovered.camera.orientation)
    assert all_seen.equal(upright(whole, 6))
    assert seen.shape == recovered.raw.shape or seen.shape == recovered.raw.mT.shape


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda picture: picture.resize((64, 48)), "resized"),
        (lambda picture: picture.rotate(9, Image.Resampling.BICUBIC), "turned by a few degrees"),
        (ImageOps.invert, "negative|shows what the raw shows in only|does not show"),
        (lambda picture: Image.new("RGB", picture.size, (90, 90, 90)), "rank correlation"),
        (
            lambda picture: Image.fromarray(
                np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
            ),
            "does not show what the raw shows",
        ),
    ],
    ids=["half", "askew", "negative", "gray", "noise"],
)
def test_another_picture_is_refused(tmp_path, make_frame, camera_jpeg, edit, text):
    with pytest.raises(PictureMismatch, match=rf"camera\.jpg: .*({text})"):
        embed(make_frame(), tmp_path / "a.jpg", existing=camera_jpeg(edit))
    assert names(tmp_path) == ["camera.jpg"]


def test_force_embeds_into_what_would_be_refused(tmp_path, make_frame, camera_jpeg):
    source = camera_jpeg(ImageOps.invert)
    made = embed(make_frame(), tmp_path / "a.jpg", CaptureOptions(force=True), existing=source)
    assert read_metadata(made.path).match == "exact"


def test_a_sampler_in_the_pipeline_sees_the_jpegs_own_pixels(tmp_path, make_frame, camera_jpeg):
    source = camera_jpeg(lambda picture: ImageOps.mirror(picture).crop((8, 0, 128, 96)))
    pipeline = Pipeline([*isp_meta.presets.minimal(), SampleMetadata(UniformSampler())])
    made = embed(make_frame(), tmp_path / "a.jpg", existing=source, pipeline=pipeline)
    plain = tmp_path / "b.jpg"
    embed(make_frame(), plain, existing=source, sampler=UniformSampler())
    assert all(a.equal(b) for a, b in zip(stored(made.path), stored(plain), strict=True))


def test_picture_burnt_over_most_of_it_is_recognised(tmp_path, make_frame):
    """Where the JPEG is white all over, the raw may still fall off against the picture's order."""
    frame = make_frame(320, 320)
    frame.codes[:] = torch.linspace(4000, 100, 320)[:, None]
    rendered = isp_meta.presets.minimal()(frame).srgb
    rendered[:, :224] = 1.0
    source = tmp_path / "burnt.jpg"
    source.write_bytes(io.encode_jpeg(rendered))
    embed(frame, tmp_path / "a.jpg", existing=source)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 3)])
def test_tiny_jpeg_of_the_scene_is_accepted(tmp_path, make_frame, size):
    made = embed(make_frame(*size), tmp_path / "a.jpg")
    embed(make_frame(*size), tmp_path / "b.jpg", existing=made.path)
    assert read_metadata(tmp_path / "b.jpg").match == "exact"


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (b"", ImageFileError, "is empty"),
        (b"no picture", CarrierError, "not a JPEG, PNG or TIFF file"),
        (b"\xff\xd8\xff\xd9", CarrierError, "no picture"),
        (None, ImageFileError, "no such file"),
    ],
)
def test_jpeg_that_is_none_is_refused(tmp_path, make_frame, content, error, text):
    source = tmp_path / "in.jpg"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(error, match=rf"in\.jpg: .*{text}"):
        embed(make_frame(), tmp_path / "a.jpg", existing=source)
    assert "a.jpg" not in names(tmp_path)


def test_jpeg_cut_anywhere_is_refused(tmp_path, make_frame, camera_jpeg):
    whole = camera_jpeg().read_bytes()
    source, target = tmp_path / "in.jpg", tmp_path / "a.jpg"
    for length in range(0, len(whole), 97):
        source.write_bytes(whole[:length])
        with pytest.raises((ImageFileError, CarrierError), match=r"in\.jpg: "):
            embed(make_frame(), target, existing=source)
        assert not target.exists()


def test_what_is_painted_over_is_not_tried_for(tmp_path, make_frame):
    picture = io.to_uint8(isp_meta.presets.minimal()(make_frame(192, 256)).srgb)
    picture[:, 32:80, 48:96] = torch.tensor([200, 40, 40])[:, None, None]
    jpeg, errors = tmp_path / "painted.jpg", []
    Image.fromarray(picture.movedim(0, -1).numpy()).save(jpeg, quality=92)
    for effort, values in enumerate(("measured", "measured", "control")):
        made = embed(
            make_frame(192, 256),
            tmp_path / f"{effort}.jpg",
            CaptureOptions(effort=min(effort, 1), enhancement=0, values=values),
            existing=jpeg,
        )
        samples = made.frame.samples
        y, x = samples.index // samples.width, samples.index % samples.width
        assert not bool(((y >= 32) & (y < 80) & (x >= 48) & (x < 96)).any())
        assert (samples.model is not None, samples.control) == (effort > 0, effort > 1)
        missed = (recover(made.path).raw - made.frame.raw).square()
        missed[:, 32:80, 48:96] = 0
        errors.append(float(missed.mean()))
    assert errors[2] < errors[1] < errors[0]


def test_what_is_painted_over_is_not_corrected(tmp_path, make_frame):
    picture = io.to_uint8(isp_meta.presets.minimal()(make_frame(192, 256)).srgb)
    picture[:, 32:80, 48:96] = torch.tensor([200, 40, 40])[:, None, None]
    jpeg, path = tmp_path / "painted.jpg", tmp_path / "a.jpg"
    Image.fromarray(picture.movedim(0, -1).numpy()).save(jpeg, quality=92)
    embed(make_frame(192, 256), path, existing=jpeg)
    gray = torch.full((1, 192, 256), 0.5)
    change = (read_metadata(path).payload.enhancement.apply(gray) - gray).abs()
    assert change[:, 32:80, 48:96].max() < 0.01
    assert change.max() > 0.03

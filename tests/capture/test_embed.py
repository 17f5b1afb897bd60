from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

import isp_meta
from isp_meta import CaptureOptions, Frame, Pipeline, embed, io, read_metadata, recover
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.codec import Steps, quantize
from isp_meta.comparison import compare
from isp_meta.data import sample_path
from isp_meta.errors import OutputError, PipelineOrderError, RawFileError
from isp_meta.samplers import RandomSampler, SuperpixelSampler, UniformSampler
from isp_meta.stages import BlackLevel, Demosaic, SampleMetadata

FrameMaker = Callable[..., Frame]
SAMPLERS = (SuperpixelSampler(5), UniformSampler(7), RandomSampler(3, 1 / 30))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def opened(path: Path) -> Image.Image:
    return Image.open(BytesIO(path.read_bytes()))


def stored(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    samples = read_metadata(path).payload.samples
    return samples.index, samples.value


def test_sample_comes_back_close_to_what_it_was(embedded_sample):
    assert read_metadata(embedded_sample.path).match == "exact"
    figures, estimate, truth = compare(sample_path(), embedded_sample.path)
    assert estimate.shape == truth.shape == (3, 768, 1024)
    assert (figures.height, figures.width) == (768, 1024)
    assert figures.psnr > 39
    assert figures.psnr_unclipped > 44.5
    assert figures.psnr_mosaic > 39.5
    assert figures.ssim > 0.98
    assert figures.bits_per_pixel == embedded_sample.bits_per_pixel < 0.62


def test_says_what_it_made(embedded_sample):
    made = embedded_sample
    assert made.sidecar is None
    assert made.frame.filled == {"raw", "srgb", "samples"}
    whole = made.path.read_bytes()
    packed = jpeg_carrier.extract(whole)
    assert len(packed) == made.payload_bytes
    assert len(jpeg_carrier.strip(whole)) == made.picture_bytes
    assert made.bits_per_pixel == 8 * len(packed) / (768 * 1024)
    decoded = io.decode_image(whole, "sample").float() / 255
    torch.testing.assert_close(made.frame.srgb, decoded, atol=1e-7, rtol=0)


def test_reports_its_steps_in_order(tmp_path, make_frame):
    steps: list[str] = []
    embed(make_frame(), tmp_path / "a.jpg", progress=steps.append)
    # With the decibels won a step is told again.
    assert [step for step in steps if not step.endswith(" dB)")] == [
        "reading raw",
        "rendering",
        "making the picture",
        "choosing pixels",
        "fitting the decoder",
        "choosing values",
        "encoding",
        "coding what recovery misses",
        "writing",
    ]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_stores_what_the_sampler_chose(tmp_path, make_frame, sampler):
    made = embed(make_frame(), tmp_path / "a.jpg", CaptureOptions(effort=0), sampler=sampler)
    assert made.frame.samples.index.equal(sampler(made.frame).index)
    payload = read_metadata(made.path).payload
    assert payload.sampler == type(sampler).__name__
    assert payload.samples.cell == made.frame.samples.cell
    assert payload.samples.index.equal(made.frame.samples.index)


@pytest.mark.parametrize("coding", ["predicted", "range", "packed"])
@pytest.mark.parametrize("levels", [None, 100, 65535])
def test_values_are_stored_in_their_steps(tmp_path, make_frame, levels, coding):
    options = CaptureOptions(coding=coding, levels=levels, values="measured")
    made = embed(make_frame(), tmp_path / "a.jpg", options)
    index, value = stored(made.path)
    true = made.frame.raw.reshape(3, -1)[:, index].T
    assert value.equal(quantize(true, Steps(levels or 256)))


def test_more_levels_take_more_room(tmp_path, make_frame):
    sizes = [
        embed(make_frame(), tmp_path / f"{levels}.jpg", CaptureOptions(levels=levels)).payload_bytes
        for levels in (50, 320, 4000)
    ]
    assert sizes == sorted(set(sizes))


def test_quality_and_subsampling_are_the_jpegs(tmp_path, make_frame):
    sizes = []
    for quality, chroma in ((50, "4:2:0"), (95, "4:2:0"), (95, "4:4:4"), (100, "4:4:4")):
        options = CaptureOptions(quality=quality, subsampling=chroma)
        made = embed(make_frame(), tmp_path / f"{quality}{chroma[-1]}.jpg", options)
        sizes.append(made.picture_bytes)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("carrier", ["app11", "com"])
def test_payload_is_in_the_jpeg(tmp_path, make_frame, carrier):
    made = embed(make_frame(), tmp_path / "a.jpg", CaptureOptions(carrier=carrier))
    assert names(tmp_path) == ["a.jpg"]
    marker = {"app11": b"\xff\xeb", "com": b"\xff\xfe"}[carrier]
    assert marker in made.path.read_bytes()[: made.path.stat().st_size - made.picture_bytes + 1000]
    assert read_metadata(made.path).source == made.path


def test_payload_is_beside_the_jpeg(tmp_path, make_frame):
    made = embed(make_frame(), tmp_path / "a.jpg", CaptureOptions(carrier="sidecar"))
    assert names(tmp_path) == ["a.jpg", "a.jpg.ispmeta"]
    assert made.sidecar == tmp_path / "a.jpg.ispmeta"
    assert made.sidecar.stat().st_size == made.payload_bytes
    assert made.path.stat().st_size == made.picture_bytes
    assert jpeg_carrier.strip(made.path.read_bytes()) == made.path.read_bytes()
    assert read_metadata(made.path).source == made.sidecar


def test_all_carriers_carry_the_same(tmp_path, make_frame):
    packed = []
    for carrier in ("app11", "com", "sidecar"):
        made = embed(make_frame(), tmp_path / f"{carrier}.jpg", CaptureOptions(carrier=carrier))
        source = made.sidecar or made.path
        data = source.read_bytes()
        packed.append(data if made.sidecar else jpeg_carrier.extract(data))
    assert packed[0] == packed[1] == packed[2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_stays_and_pixels_do_not_turn(tmp_path, make_frame, orientation):
    frame = make_frame(40, 56, orientation=orientation)
    path = embed(frame, tmp_path / "a.jpg").path
    assert opened(path).getexif()[0x0112] == orientation
    recovered = recover(path)
    assert recovered.camera == frame.camera
    assert recovered.raw.shape == (3, 40, 56)


def test_demosaic_of_the_pipeline_is_named(tmp_path, make_frame):
    stages = list(isp_meta.presets.minimal())
    pipeline = Pipeline([BlackLevel(), Demosaic("bilinear"), *stages[2:]])
    path = embed(make_frame(), tmp_path / "a.jpg", pipeline=pipeline).path
    assert read_metadata(path).payload.demosaic == "bilinear"


def test_samples_of_the_pipeline_are_stored(tmp_path, make_frame):
    pipeline = Pipeline([*isp_meta.presets.minimal(), SampleMetadata(UniformSampler(9))])
    path = embed(make_frame(), tmp_path / "a.jpg", pipeline=pipeline).path
    payload = read_metadata(path).payload
    assert payload.samples.cell == 9
    assert payload.sampler == "UniformSampler"
    for options, sampler in (
        (CaptureOptions(), UniformSampler()),
        (CaptureOptions(sampler="uniform"), None),
        (CaptureOptions(cell=9), None),
        (CaptureOptions(bpp=1), None),
    ):
        with pytest.raises(ValueError, match="give no sampler"):
            embed(make_frame(), tmp_path / "b.jpg", options, pipeline=pipeline, sampler=sampler)
    assert names(tmp_path) == ["a.jpg"]


def test_refuses_a_pipeline_without_a_picture(tmp_path, make_frame):
    with pytest.raises(PipelineOrderError, match=r"frame\.srgb"):
        embed(make_frame(), tmp_path / "a.jpg", pipeline=Pipeline([BlackLevel(), Demosaic()]))
    with pytest.raises(PipelineOrderError, match="codes"):
        embed(Frame(), tmp_path / "a.jpg")
    assert names(tmp_path) == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_refuses_codes_that_are_not_finite(tmp_path, make_frame, bad):
    frame = make_frame()
    frame.codes[0, 5, 6] = bad
    with pytest.raises(ValueError, match="codes must be finite"):
        embed(frame, tmp_path / "a.jpg")
    assert names(tmp_path) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 37), (37, 1), (2, 3), (9, 8), (17, 16)])
@pytest.mark.parametrize("sampler", [*SAMPLERS, SuperpixelSampler(1)], ids=repr)
def test_tiny_pictures(tmp_path, make_frame, size, sampler):
    for values in (None, "measured"):
        options = CaptureOptions(values=values)
        made = embed(
            make_frame(*size), tmp_path / "a.jpg", options, sampler=sampler, overwrite=True
        )
        assert len(made.frame.samples) >= 1
        index, value = stored(made.path)
        raw = recover(made.path).raw
        assert raw.shape == (3, *size)
        if not made.frame.samples.control:
            assert raw.reshape(3, -1)[:, index].T.equal(value)
        assert values is None or not made.frame.samples.control


@pytest.mark.parametrize(("code", "level"), [(0.0, 0.0), (64.0, 0.0), (4095.0, 1.0), (5000.0, 1.0)])
def test_flat_pictures(tmp_path, make_frame, code, level):
    frame = make_frame(40, 50)
    frame.codes.fill_(code)
    raw = recover(embed(frame, tmp_path / "a.jpg").path).raw
    torch.testing.assert_close(raw, torch.full_like(raw, level), atol=1e-4, rtol=0)


# --- what must not be lost


@pytest.mark.parametrize("carrier", ["app11", "com", "sidecar"])
def test_existing_file_is_refused_before_the_work(tmp_path, make_frame, carrier):
    target = tmp_path / "a.jpg"
    target.write_bytes(b"mine")
    steps: list[str] = []
    with pytest.raises(OutputError, match=r"a\.jpg: exists already; pass overwrite=True"):
        embed(make_frame(), target, CaptureOptions(carrier=carrier), progress=steps.append)
    assert target.read_bytes() == b"mine"
    assert steps == []
    assert names(tmp_path) == ["a.jpg"]
    made = embed(make_frame(), target, CaptureOptions(carrier=carrier), overwrite=True)
    assert read_metadata(made.path).match == "exact"


def test_existing_sidecar_is_refused_before_the_work(tmp_path, make_frame):
    beside = sidecar_path(tmp_path / "a.jpg")
    beside.write_bytes(b"mine")
    steps: list[str] = []
    with pytest.raises(OutputError, match=r"a\.jpg\.ispmeta: exists already"):
        embed(
            make_frame(),
            tmp_path / "a.jpg",
            CaptureOptions(carrier="sidecar"),
            progress=steps.append,
        )
    assert (steps, names(tmp_path), beside.read_bytes()) == ([], ["a.jpg.ispmeta"], b"mine")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nowhere/a.jpg", "its folder does not exist"),
        ("file/a.jpg", "its folder is a file"),
        ("folder", "it is a folder"),
        ("pipe", "is a device or pipe"),
        ("x" * 300, "its name is too long"),
    ],
)
def test_target_that_cannot_be_is_refused_before_the_work(
    tmp_path, make_frame, overwrite, target, text
):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    steps: list[str] = []
    with pytest.raises(OutputError, match=rf"{target}: .*{text}"):
        embed(make_frame(), tmp_path / target, overwrite=overwrite, progress=steps.append)
    assert (steps, names(tmp_path)) == ([], before)


def test_raw_file_is_never_replaced_by_its_jpeg(tmp_path, make_frame):
    raw, link = tmp_path / "photo.dng", tmp_path / "link.jpg"
    raw.write_bytes(sample_path().read_bytes())
    link.symlink_to(raw)
    for target in (raw, link):
        with pytest.raises(OutputError, match="is the file that it would be made from"):
            embed(raw, target, overwrite=True)
    assert raw.read_bytes() == sample_path().read_bytes()


def test_interruption_leaves_nothing_behind(tmp_path, make_frame):
    target = tmp_path / "a.jpg"
    for stop_at in range(6):
        steps: list[str] = []

        def interrupt(name: str, steps: list[str] = steps, stop_at: int = stop_at) -> None:
            steps.append(name)
            if len(steps) == stop_at + 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            embed(
                make_frame(),
                target,
                CaptureOptions(carrier="sidecar", effort=0),
                progress=interrupt,
            )
        assert names(tmp_path) == []


@pytest.mark.parametrize("existing", [False, True])
def test_jpeg_and_sidecar_come_both_or_not_at_all(tmp_path, make_frame, existing):
    target, beside = tmp_path / "a.jpg", tmp_path / "a.jpg.ispmeta"
    if existing:
        target.write_bytes(b"mine")

    def spoil(step: str) -> None:
        if step == "writing":
            beside.mkdir()

    with pytest.raises(OutputError, match="it is a folder"):
        embed(
            make_frame(),
            target,
            CaptureOptions(carrier="sidecar"),
            overwrite=existing,
            progress=spoil,
        )
    beside.rmdir()
    assert names(tmp_path) == (["a.jpg"] if existing else [])
    assert not existing or target.read_bytes() == b"mine"


# --- raw files


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "no such file"), (b"", "is empty"), (b"no raw" * 99, "not a raw file: no header")],
)
def test_raw_file_that_is_none_is_refused(tmp_path, content, text):
    raw = tmp_path / "photo.dng"
    if content is not None:
        raw.write_bytes(content)
    with pytest.raises(RawFileError, match=rf"photo\.dng: .*{text}"):
        embed(raw, tmp_path / "a.jpg")
    with pytest.raises(RawFileError, match="is a folder"):
        embed(tmp_path, tmp_path / "a.jpg")


def test_raw_file_whose_calibration_makes_no_picture_is_refused(tmp_path, make_frame):
    frame = make_frame(color_matrix=(0.0,) * 8 + (1.0,)).replace(raw=torch.rand(3, 64, 64))
    raw = tmp_path / "photo.dng"
    io.write_dng(raw, frame)
    wrong = r"photo\.dng: cannot be rendered, stage \d+ \(ColorMatrix\): color_matrix"
    with pytest.raises(RawFileError, match=wrong):
        embed(raw, tmp_path / "a.jpg")


def test_picture_is_the_same_on_every_run(tmp_path, make_frame):
    twins = [embed(make_frame(), tmp_path / name).path.read_bytes() for name in ("a.jpg", "b.jpg")]
    assert twins[0] == twins[1]
    assert Image.open(BytesIO(twins[0])).size == (128, 96)


def test_effort_makes_recovery_better(tmp_path, make_frame):
    errors, sizes = [], []
    for effort, values in enumerate(("measured", "measured", "control")):
        made = embed(
            make_frame(192, 256),
            tmp_path / f"{effort}.jpg",
            CaptureOptions(effort=min(effort, 1), enhancement=0, values=values),
        )
        samples = (payload := read_metadata(made.path).payload).samples
        assert (samples.model is not None, samples.control) == (effort > 0, effort > 1)
        estimate = recover(made.path).raw
        errors.append(float((estimate - made.frame.raw).square().mean()))
        sizes.append(made.payload_bytes)
        if not samples.control:
            kept = quantize(samples.value, payload.steps)
            assert torch.equal(estimate.reshape(3, -1)[:, samples.index].T, kept)
    assert errors[2] < 0.95 * errors[1] < 0.9 * errors[0]
    assert 0 < sizes[1] - sizes[0] < 800

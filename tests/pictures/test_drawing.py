import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from isp_meta import Camera, Frame, Pipeline, presets
from isp_meta.camera import QUAD_BAYER, XTRANS
from isp_meta.errors import PipelineOrderError
from isp_meta.pictures import contact_sheet, error_map, sample_overlay, stage_pictures
from isp_meta.samplers import UniformSampler
from isp_meta.samples import Samples
from isp_meta.stages import BlackLevel, Demosaic, SampleMetadata, WhiteBalance, srgb_encode

BLACK, ORANGE_RED, WHITE = (0, 0, 0), (255, 69, 0), (255, 255, 255)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_error_map_shows_the_largest_channels_error(sign, channel):
    truth = torch.full((3, 1, 5), 0.5)
    estimate = truth.clone()
    estimate[channel] += sign * torch.tensor([0.0, 0.005, 0.01, 0.021, 0.4])
    estimate[(channel + 1) % 3] += 0.0001
    picture = error_map(estimate, truth)
    assert (picture.size, picture.mode) == ((5, 1), "RGB")
    pixels = [picture.getpixel((x, 0)) for x in range(5)]
    assert np.abs(np.subtract(pixels[0], BLACK)).max() <= 3
    assert np.abs(np.subtract(pixels[2], ORANGE_RED)).max() <= 3
    assert pixels[3] == pixels[4] == WHITE
    assert 100 < pixels[1][0] < 160


def test_error_map_is_scaled_to_what_it_is_told():
    truth = torch.zeros(3, 1, 1)
    assert error_map(truth + 0.2, truth, full_scale=0.2).getpixel((0, 0)) == WHITE
    assert error_map(truth + 0.2, truth, full_scale=100).getpixel((0, 0)) == BLACK


def test_error_map_has_the_size_of_the_picture():
    truth = torch.rand(3, 7, 11, generator=torch.Generator().manual_seed(0))
    assert error_map(truth.mT.contiguous().mT, truth).size == (11, 7)


@pytest.mark.parametrize("zoom", [1, 2, 5])
@pytest.mark.parametrize("index", [[0], [3, 4, 11], list(range(12))])
def test_sample_overlay_marks_every_kept_pixel_and_no_other(zoom, index):
    srgb = torch.full((3, 3, 4), 0.5)
    picture = sample_overlay(srgb, Samples.at(torch.tensor(index), srgb), zoom)
    assert (picture.size, picture.mode) == ((4 * zoom, 3 * zoom), "RGB")
    pixels = np.asarray(picture)
    for place in range(12):
        top, left = place // 4 * zoom, place % 4 * zoom
        block = pixels[top : top + zoom, left : left + zoom].reshape(-1, 3)
        yellow = [255, 242, 51] if place in index else [76, 76, 76]
        assert np.abs(block.astype(int) - yellow).max() <= 1


def test_sample_overlay_leaves_the_picture_as_it_was():
    srgb = torch.rand(3, 3, 4, generator=torch.Generator().manual_seed(0))
    before = srgb.clone()
    sample_overlay(srgb, Samples.at(torch.tensor([1, 5]), srgb))
    assert torch.equal(srgb, before)


def pixels_of(picture):
    return torch.from_numpy(np.array(picture)).movedim(-1, 0)


def test_contact_sheet_holds_every_picture_pixel_for_pixel():
    generator = torch.Generator().manual_seed(0)
    pictures = {
        f"{n}": torch.randint(256, (3, 20 + n, 30 - n), generator=generator, dtype=torch.uint8)
        for n in range(5)
    }
    sheet = contact_sheet(pictures, columns=2)
    assert (sheet.mode, sheet.width) == ("RGB", 2 * 30 + 3 * 8)
    pixels = pixels_of(sheet)
    for picture in pictures.values():
        height, width = picture.shape[1:]
        windows = pixels.unfold(1, height, 1).unfold(2, width, 1)
        assert bool((windows == picture[:, None, None]).flatten(3).all(-1).all(0).any())


def test_contact_sheet_labels_its_pictures():
    picture = torch.zeros(3, 10, 120)
    plain, one, two = (contact_sheet({label: picture}) for label in ("", "mosaic", "mosaic\nraw"))
    assert plain.height < one.height < two.height
    under = pixels_of(one)[:, 8 + 10 :]
    assert int(under.min()) < 64
    assert int(under[:, -8:].min()) == 255
    assert bool((pixels_of(plain)[:, 8 + 10 :] == 255).all())
    other = contact_sheet([("camera", picture)])
    assert other.size == one.size
    assert other.tobytes() != one.tobytes()


def test_contact_sheet_shrinks_to_its_width_and_never_enlarges():
    picture = torch.full((3, 60, 200), 0.5)
    sheet = contact_sheet([("", picture)] * 3, columns=3, width=3 * 50 + 4 * 8)
    assert sheet.width == 3 * 50 + 4 * 8
    assert int((pixels_of(sheet)[0] == 128).sum()) == 3 * 50 * 15
    wide = contact_sheet([("", picture)], width=1000)
    assert wide.width == 1000
    assert int((pixels_of(wide)[0] == 128).sum()) == 60 * 200


@pytest.mark.parametrize(
    ("pictures", "columns", "width", "cause"),
    [
        ([], 4, None, "at least one picture"),
        ([("a", torch.zeros(3, 4, 4))], 0, None, "one column"),
        ([("a", torch.zeros(3, 4, 4))], 1, 16, "do not fit into 16 pixels"),
        ([("a", torch.zeros(1, 4, 4))], 4, None, r"a: must be \(3, H, W\)"),
        ([("a", torch.zeros(3, 0, 4))], 4, None, r"a: must be \(3, H, W\)"),
        ([("a", torch.full((3, 4, 4), torch.nan))], 4, None, "NaN"),
    ],
)
def test_contact_sheet_refuses_what_it_cannot_show(pictures, columns, width, cause):
    with pytest.raises(ValueError, match=cause):
        contact_sheet(pictures, columns, width)


def test_stage_pictures_are_what_leaves_the_stages(make_frame):
    frame, camera = make_frame(48, 64), presets.minimal()
    pictures = stage_pictures(camera, frame)
    labels = [label.split("\n") for label, _ in pictures]
    assert [first for first, _ in labels] == [
        f"{position} {type(stage).__name__}" for position, stage in enumerate(camera)
    ]
    assert [second.split(",")[0] for _, second in labels] == [
        *("mosaic", "raw", "rgb", "rgb", "rgb", "srgb", "srgb")
    ]
    shown = dict(zip((first.split()[1] for first, _ in labels), pictures, strict=True))
    done = camera(frame)
    assert torch.equal(shown["Quantize"][1], done.srgb)
    assert torch.equal(shown["Demosaic"][1], srgb_encode(done.raw))
    encoded = [name for name, (label, _) in shown.items() if label.endswith("sRGB-encoded")]
    assert encoded == ["BlackLevel", "Demosaic", "WhiteBalance", "ColorMatrix", "ToneCurve"]


@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG", QUAD_BAYER, XTRANS])
@pytest.mark.parametrize("size", [(8, 6), (7, 9), (2, 2)])
def test_a_mosaic_is_shown_in_its_own_colors(make_frame, cfa, size):
    side = math.isqrt(len(cfa))
    size = (max(size[0], side), max(size[1], side))
    frame = make_frame(*size, cfa=cfa)
    levels = {"R": 0.1, "G": 0.4, "B": 0.8}
    for place, color in enumerate(cfa):
        frame.codes[:, place // side :: side, place % side :: side] = 64 + levels[color] * (
            4095 - 64
        )
    ((label, picture),) = stage_pictures(Pipeline([BlackLevel()]), frame)
    assert label.startswith("0 BlackLevel\nmosaic")
    assert picture.shape == (3, -(-size[0] // side), -(-size[1] // side))
    flat = srgb_encode(torch.tensor(list(levels.values()))).view(3, 1, 1)
    assert torch.allclose(picture, flat.expand_as(picture), atol=1e-5)


@pytest.mark.parametrize(("cfa", "channels"), [("W", 1), ("RGB", 3)])
def test_codes_without_a_mosaic_are_shown_as_they_are(cfa, channels):
    codes = torch.rand(channels, 5, 7) * 4031 + 64
    frame = Frame(Camera(cfa=cfa, black_level=(64.0,), white_level=4095.0), codes=codes)
    ((_, picture),) = stage_pictures(Pipeline([BlackLevel()]), frame)
    expected = srgb_encode((codes - 64) / 4031).expand(3, -1, -1)
    assert torch.allclose(picture, expected, atol=1e-5)


def test_stage_pictures_are_small_and_averaged_in_linear_light(make_frame):
    frame = make_frame(40, 60)
    pictures = stage_pictures(presets.minimal(), frame, side=15)
    assert {tuple(picture.shape) for _, picture in pictures} == {(3, 10, 15)}
    raw = presets.minimal()(frame).raw
    mean = raw.unflatten(1, (10, 4)).unflatten(3, (15, 4)).mean((2, 4))
    assert torch.allclose(pictures[1][1], srgb_encode(mean), atol=1e-5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_stage_pictures_are_upright(make_frame, orientation):
    plain = stage_pictures(presets.minimal(), make_frame(12, 16))[-1][1]
    turned = stage_pictures(presets.minimal(), make_frame(12, 16, orientation=orientation))[-1][1]
    stored = Image.fromarray((plain * 255).round().byte().movedim(0, -1).numpy())
    stored.getexif()[274] = orientation
    upright = pixels_of(ImageOps.exif_transpose(stored))
    assert torch.equal((turned * 255).round().byte(), upright)


def test_stage_pictures_leave_out_what_is_no_picture(make_frame):
    camera = Pipeline([*presets.minimal(), SampleMetadata(UniformSampler(cell=8))])
    assert len(stage_pictures(camera, make_frame(16, 16))) == len(camera) - 1


def test_stage_pictures_need_what_the_pipeline_needs(make_frame):
    with pytest.raises(PipelineOrderError, match=r"stage 0 \(WhiteBalance\) needs raw"):
        stage_pictures(Pipeline([WhiteBalance()]), make_frame(16, 16))


def test_stage_pictures_of_one_stage_twice(make_frame):
    balance = WhiteBalance([2.0, 1.0, 1.0])
    camera = Pipeline([BlackLevel(), Demosaic(), balance, balance])
    labels = [label.split("\n")[0] for label, _ in stage_pictures(camera, make_frame(16, 16))]
    assert labels == ["0 BlackLevel", "1 Demosaic", "2 WhiteBalance", "3 WhiteBalance"]

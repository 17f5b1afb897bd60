"""What editors are told travels with a picture: how much of it, and for which pixels."""

from __future__ import annotations

import struct

import pytest
import torch

from isp_meta import CaptureOptions, embed, io, presets, recover
from isp_meta.camera import EditorTag, EditorTags
from isp_meta.codec import editing_size
from isp_meta.pipeline import Pipeline
from isp_meta.recovery import attach, extract, read_metadata, strip
from isp_meta.stages import LensShading, LensWarp

SIZE = (96, 128)
FAST = {"effort": 0, "enhancement": 0.0}


def gain_map(top, left):
    """A map of one place of the mosaic, 5 by 5 points, which cannot be deflated."""
    gains = 1 + torch.rand(5, 5, generator=torch.Generator().manual_seed(2 * top + left))
    head = struct.pack(">8I2I4dI", top, left, *SIZE, 0, 1, 2, 2, 5, 5, 0.25, 0.25, 0, 0, 1)
    parameters = head + gains.numpy().astype(">f4").tobytes()
    return struct.pack(">4I", 9, 0x01030000, 1, len(parameters)) + parameters


MAPS = struct.pack(">I", 4) + b"".join(gain_map(y, x) for y in (0, 1) for x in (0, 1))
TAGS = {
    50708: EditorTag(2, b"Maker Model\0"),
    50719: EditorTag.of(4, [4, 2]),
    50720: EditorTag.of(4, [120, 92]),
    51009: EditorTag(7, MAPS),
    51109: EditorTag.of(10, [1, 2]),
}
TOLD = EditorTags(SIZE, TAGS)


@pytest.fixture
def frame(make_frame):
    return make_frame(*SIZE, editing=TOLD)


def told(path):
    return read_metadata(path).payload.camera.editing


def test_all_of_it_travels_and_counts(frame, tmp_path):
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(**FAST))
    assert told(made.path).tags == TAGS
    assert recover(made.path).camera.editing.tags == TAGS
    without = embed(frame, tmp_path / "b.jpg", CaptureOptions(**FAST, editor_tags=0))
    assert told(without.path) is None
    assert made.payload_bytes - without.payload_bytes == editing_size(TOLD)
    assert made.bits_per_pixel > without.bits_per_pixel


def test_a_budget_drops_gain_maps_last(frame, tmp_path):
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(**FAST, editor_tags=200))
    assert told(made.path).tags == {code: TAGS[code] for code in TAGS if code != 51009}


def test_of_a_rate_an_eighth_at_most(frame, tmp_path):
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(effort=0, size=1600))
    assert made.payload_bytes <= 1600
    assert "OpcodeList2" not in told(made.path).names


def test_it_moves_with_the_metadata(frame, tmp_path):
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(**FAST))
    sidecar = extract(made.path)
    strip(made.path, tmp_path / "b.jpg")
    attach(tmp_path / "b.jpg", sidecar, tmp_path / "c.jpg")
    assert told(tmp_path / "c.jpg").tags == TAGS


def test_shading_that_the_raw_has_not_any_more_is_not_told(frame, tmp_path):
    before, *after = presets.minimal()
    pipeline = Pipeline([before, LensShading(), *after])
    made = embed(frame, tmp_path / "a.jpg", CaptureOptions(**FAST), pipeline=pipeline)
    assert "OpcodeList2" not in told(made.path).names
    # Of the mosaic itself it is as true as before.
    options = CaptureOptions(**FAST, lossless=True)
    made = embed(frame, tmp_path / "b.jpg", options, pipeline=pipeline)
    assert "OpcodeList2" in told(made.path).names


def test_a_lens_is_not_corrected_twice(frame, tmp_path):
    warp = EditorTag(7, struct.pack(">5I", 1, 1, 0x01030000, 1, 68) + bytes(68))
    told_more = frame.camera.replace(editing=EditorTags(SIZE, {**TAGS, 51022: warp}))
    before, demosaic, *after = presets.minimal()
    lens = LensWarp([1.0, -0.02, 0.0, 0.0, 0.0, 0.0])
    for stages, names in (([], {"OpcodeList3"}), ([lens], set())):
        pipeline = Pipeline([before, demosaic, *stages, *after])
        options = CaptureOptions(**FAST)
        made = embed(
            frame.replace(camera=told_more),
            tmp_path / "a.jpg",
            options,
            pipeline=pipeline,
            overwrite=True,
        )
        assert {"OpcodeList3"} & set(told(made.path).names) == names
        # Nor is a warped raw taken for a demosaiced one.
        assert read_metadata(made.path).payload.demosaic == ("" if stages else "malvar")
    assert "OpcodeList2" in told(made.path).names


@pytest.mark.parametrize(
    ("options", "field", "cause"),
    [({}, "rgb", "would no longer show"), ({"lossless": True}, "raw", "has no warp")],
)
def test_a_lens_that_parts_picture_and_raw_is_refused(frame, tmp_path, options, field, cause):
    pipeline = presets.minimal()
    place = 2 if field == "raw" else 3
    lens = LensWarp([1.0, -0.02, 0.0, 0.0, 0.0, 0.0], field=field)
    pipeline = Pipeline([*pipeline[:place], lens, *pipeline[place:]])
    with pytest.raises(ValueError, match=f"LensWarp: .*{cause}"):
        embed(frame, tmp_path / "a.jpg", CaptureOptions(**FAST, **options), pipeline=pipeline)
    assert not (tmp_path / "a.jpg").exists()


def test_a_picture_of_another_size_is_told_nothing(frame, tmp_path):
    other = frame.replace(codes=frame.codes[:, :64])
    made = embed(other, tmp_path / "a.jpg", CaptureOptions(**FAST))
    assert told(made.path) is None


def test_a_turned_and_cropped_picture_gets_what_suits_it(make_frame, tmp_path):
    """The lens is as dark at each pixel of the recovered file as it was in the original."""
    size = (320, 448)
    maps = MAPS.replace(struct.pack(">2I", *SIZE), struct.pack(">2I", *size))
    frame = make_frame(*size, editing=EditorTags(size, {**TAGS, 51009: EditorTag(7, maps)}))
    io.write_dng(tmp_path / "raw.dng", frame)
    original = io.read_raw(tmp_path / "raw.dng")
    srgb = presets.minimal()(original).srgb
    part = srgb.mT.flip(2)[:, 7:407, 10:300]  # turned to the right, orientation 6
    (tmp_path / "camera.jpg").write_bytes(io.encode_jpeg(part, quality=98))
    made = embed(
        original, tmp_path / "both.jpg", CaptureOptions(**FAST), existing=tmp_path / "camera.jpg"
    )
    assert made.registration.placement.turn == 6
    assert told(made.path).size == (400, 290)
    assert "DefaultCropSize" not in told(made.path).names
    io.write_dng(tmp_path / "again.dng", recover(made.path))
    again = io.read_raw(tmp_path / "again.dng").camera
    lens = LensShading(clip=False)
    gain = lens(original.replace(mosaic=torch.ones(1, *size))).mosaic
    wanted = gain.mT.flip(2)[:, 7:407, 10:300]
    found = lens(frame.replace(camera=again, mosaic=torch.ones(1, 400, 290))).mosaic
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)

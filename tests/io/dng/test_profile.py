from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta.camera import ColorProfile
from isp_meta.data import sample_path
from isp_meta.errors import RawFileError
from isp_meta.io import read_profile, read_raw
from isp_meta.io.dng.profile import color_profile
from isp_meta.io.dng.tags import Tag, TiffTags

# Color matrices of a GoPro HERO6 for tungsten and D50.
TUNGSTEN = (1.8331, -0.8166, -0.2478, 0.1391, 0.8961, -0.0367, 0.0822, 0.0662, 0.2597)
DAYLIGHT = (1.0344, -0.4210, -0.0620, -0.2315, 1.0625, 0.1948, 0.0093, 0.1058, 0.5541)
FORWARD = (0.7, 0.2, 0.0642, 0.25, 0.7, 0.05, 0.01, 0.1, 0.7149)
DIMS = (3, 2, 4)
SIZE = 3 * 2 * 4 * 3

SHORT, LONG, SRATIONAL, FLOAT = 3, 4, 10, 11
FORMS = {SHORT: "H", LONG: "I", SRATIONAL: "ii", FLOAT: "f"}
Entry = tuple[int, Sequence[float]]


def numbers(values: Sequence[float], start: float = 0.0) -> tuple[float, ...]:
    return tuple(start + float(value) for value in values)


ENTRIES: dict[int, Entry] = {
    Tag.COLOR_MATRIX[0]: (SRATIONAL, TUNGSTEN),
    Tag.COLOR_MATRIX[1]: (SRATIONAL, DAYLIGHT),
    Tag.BASELINE_EXPOSURE: (SRATIONAL, (0.25,)),
    Tag.CALIBRATION_ILLUMINANT[0]: (SHORT, (17,)),
    Tag.CALIBRATION_ILLUMINANT[1]: (SHORT, (23,)),
    Tag.PROFILE_HUE_SAT_MAP_DIMS: (LONG, DIMS),
    Tag.PROFILE_HUE_SAT_MAP_DATA[0]: (FLOAT, numbers(range(SIZE))),
    Tag.PROFILE_HUE_SAT_MAP_DATA[1]: (FLOAT, numbers(range(SIZE), 100.0)),
    Tag.PROFILE_TONE_CURVE: (FLOAT, (0.0, 0.0, 0.25, 0.5, 1.0, 1.0)),
    Tag.FORWARD_MATRIX[0]: (SRATIONAL, FORWARD),
    Tag.FORWARD_MATRIX[1]: (SRATIONAL, FORWARD[::-1]),
    Tag.PROFILE_LOOK_TABLE_DIMS: (LONG, DIMS),
    Tag.PROFILE_LOOK_TABLE_DATA: (FLOAT, numbers(range(SIZE), -9.0)),
    Tag.PROFILE_HUE_SAT_MAP_ENCODING: (LONG, (0,)),
    Tag.PROFILE_LOOK_TABLE_ENCODING: (LONG, (1,)),
    Tag.BASELINE_EXPOSURE_OFFSET: (SRATIONAL, (0.5,)),
}


def packed(kind: int, values: Sequence[float], order: str) -> bytes:
    if kind == SRATIONAL:
        values = [n for value in values for n in (round(value * 10000), 10000)]
    elif kind != FLOAT:
        values = [int(value) for value in values]
    return struct.pack(f"{order}{len(values)}{FORMS[kind][0]}", *values)


def dcp(entries: Mapping[int, Entry], name: str = "Standard", order: str = "<") -> bytes:
    """A profile file: one directory, its values behind it."""
    content = {code: (kind, len(v), packed(kind, v, order)) for code, (kind, v) in entries.items()}
    content[Tag.PROFILE_NAME] = (2, len(name) + 1, name.encode() + b"\0")
    start = 8 + 2 + 12 * len(content) + 4
    directory, values = struct.pack(order + "H", len(content)), b""
    for code, (kind, count, data) in sorted(content.items()):
        inline = data.ljust(4, b"\0") if len(data) <= 4 else b""
        place = inline or struct.pack(order + "I", start + len(values))
        directory += struct.pack(order + "HHI", code, kind, count) + place
        values += b"" if inline else data + bytes(len(data) % 2)
    magic = b"IIRC" if order == "<" else b"MMCR"
    return magic + struct.pack(order + "I", 8) + directory + bytes(4) + values


def read(tmp_path: Path, data: bytes) -> ColorProfile:
    path = tmp_path / "profile.dcp"
    path.write_bytes(data)
    return read_profile(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_tag_of_a_dcp(tmp_path: Path, order: str) -> None:
    profile = read(tmp_path, dcp(ENTRIES, order=order))
    assert profile.name == "Standard"
    assert profile.illuminants == (17, 23)
    np.testing.assert_allclose(profile.color_matrices, [TUNGSTEN, DAYLIGHT], atol=1e-12)
    np.testing.assert_allclose(profile.forward_matrices, [FORWARD, FORWARD[::-1]], atol=1e-12)
    assert profile.exposure == 0.75
    assert (profile.hue_sat_encoding, profile.look_encoding) == ("linear", "srgb")
    assert profile.tone_curve is not None
    assert profile.tone_curve.tolist() == [[0, 0], [0.25, 0.5], [1, 1]]
    first, second = profile.hue_sat_maps
    assert first.shape == (3, 2, 4, 3)
    assert torch.equal(second, first + 100)
    assert profile.look_table is not None
    assert torch.equal(profile.look_table, first - 9)
    # Values outermost, then hues, then saturations.
    assert first[2, 1, 3].tolist() == [float(((3 * 3 + 2) * 2 + 1) * 3 + n) for n in range(3)]


def test_the_sample_s_own_profile() -> None:
    profile = read_profile(sample_path())
    assert profile.illuminants == (3, 23)
    np.testing.assert_allclose(profile.color_matrices, [TUNGSTEN, DAYLIGHT], atol=1e-9)
    assert not profile.forward_matrices
    assert profile.tone_curve is None
    camera = read_raw(sample_path()).camera
    assert camera.profile is not None
    assert camera.profile.color_matrices == profile.color_matrices
    assert camera.profile.color_matrices[1] == camera.color_matrix


def tags(**changed: Sequence[float]) -> TiffTags:
    held = {code: tuple(values) for code, (_, values) in ENTRIES.items()}
    codes = {name: getattr(Tag, name) for name in changed}
    given = {(c[0] if isinstance(c, tuple) else c): tuple(changed[n]) for n, c in codes.items()}
    return TiffTags(numbers=held | given)


def test_a_single_camera_s_deviation_is_part_of_its_matrices() -> None:
    plain, balance = color_profile(tags()), (1.1, 1.0, 0.9)
    assert plain is not None
    scaled = color_profile(tags(ANALOG_BALANCE=balance))
    assert scaled is not None
    expected = np.diag(balance) @ np.reshape(TUNGSTEN, (3, 3))
    np.testing.assert_allclose(np.reshape(scaled.color_matrices[0], (3, 3)), expected)
    # A gain for each channel is undone by white balance before the forward matrix.
    np.testing.assert_allclose(scaled.forward_matrices, plain.forward_matrices, atol=1e-12)


def test_mixed_channels_reach_the_forward_matrix_and_white_stays() -> None:
    mixing = np.array([[1.0, 0.05, 0.0], [0.02, 1.0, 0.03], [0.0, 0.04, 0.98]])
    neutral = np.array([0.5, 1.0, 0.6])
    found = color_profile(tags(CAMERA_CALIBRATION=mixing.ravel(), AS_SHOT_NEUTRAL=neutral))
    assert found is not None
    forward = np.reshape(found.forward_matrices[0], (3, 3))
    np.testing.assert_allclose(forward.sum(1), np.reshape(FORWARD, (3, 3)).sum(1))
    # DNG specification: ForwardMatrix · D · (AB · CC)⁻¹ on camera color, here after balance.
    color, to_model = np.array([0.3, 0.4, 0.1]), np.linalg.inv(mixing)
    expected = np.reshape(FORWARD, (3, 3)) @ ((to_model @ color) / (to_model @ neutral))
    np.testing.assert_allclose(forward @ (color / neutral), expected)


@pytest.mark.parametrize(
    ("name", "values", "field", "left"),
    [
        ("PROFILE_TONE_CURVE", (0.0, 0.0, 0.5, 0.7, 0.4, 0.8, 1.0, 1.0), "tone_curve", None),
        ("PROFILE_TONE_CURVE", (0.0, 0.0, float("nan"), 0.7, 1.0, 1.0), "tone_curve", None),
        ("PROFILE_TONE_CURVE", (0.1, 0.0, 1.0, 1.0), "tone_curve", None),
        ("PROFILE_LOOK_TABLE_DIMS", (3, 2, 5), "look_table", None),
        ("PROFILE_LOOK_TABLE_DIMS", (float("nan"), 2, 5), "look_table", None),
        ("PROFILE_HUE_SAT_MAP_DIMS", (-3, -2, 4), "hue_sat_maps", ()),
        ("FORWARD_MATRIX", (0.0,) * 9, "forward_matrices", ()),
        ("BASELINE_EXPOSURE", (float("nan"),), "exposure", 0.5),
        ("BASELINE_EXPOSURE", (1e9,), "exposure", 0.5),
        ("PROFILE_LOOK_TABLE_ENCODING", (7,), "look_encoding", "linear"),
        ("COLOR_MATRIX", (1.0,) * 9, "illuminants", (23,)),
    ],
)
def test_what_makes_no_sense_is_left_out(
    name: str, values: Sequence[float], field: str, left: object
) -> None:
    profile = color_profile(tags(**{name: values}))
    assert profile is not None
    assert getattr(profile, field) == left


def test_no_color_matrix_is_no_profile(tmp_path: Path) -> None:
    assert color_profile(TiffTags()) is None
    entries = {code: e for code, e in ENTRIES.items() if code not in Tag.COLOR_MATRIX}
    with pytest.raises(RawFileError, match=r"profile\.dcp: has no usable color matrix"):
        read(tmp_path, dcp(entries))


@pytest.mark.parametrize(
    "data", [b"IIRC", b"IIRC\xff\xff\xff\xff", b"\xff\xd8\xff\xe0", b"II*\0\0"]
)
def test_other_files_are_named(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(RawFileError, match=r"profile\.dcp: "):
        read(tmp_path, data)
    with pytest.raises(RawFileError, match="no such file"):
        read_profile(tmp_path / "none.dcp")


WHOLE = dcp(ENTRIES)


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6),
    length=st.integers(0, len(WHOLE)),
)
def test_hostile_bytes_give_a_profile_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(WHOLE)
    for position, value in changes:
        data[position] = value
    path = tmp_path_factory.mktemp("hostile") / "a.dcp"
    path.write_bytes(data[: max(length, 1)] if length % 3 == 0 else data)
    try:
        profile = read_profile(path)
    except RawFileError:
        return
    assert len(profile.color_matrices) == len(profile.illuminants) >= 1
    assert np.isfinite(profile.color_matrices).all()
    assert all(bool(table.isfinite().all()) for table in profile.hue_sat_maps)

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta.camera import BAYER_PATTERNS, LINEAR, MONOCHROME, QUAD_BAYER, XTRANS, Camera
from isp_meta.codec.camera import pack_camera, unpack_camera
from isp_meta.codec.reader import text_field
from isp_meta.errors import PayloadCorrupt

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
text = st.text(max_size=50)
LEVELS = len("xxRGGB")  # where they begin: behind the pattern and its length
filters = st.sampled_from([*BAYER_PATTERNS, QUAD_BAYER, XTRANS, MONOCHROME, LINEAR, "RGB" * 3])


@st.composite
def mosaics(draw):
    """Color filters and as many black levels."""
    cfa = draw(filters)
    levels = st.floats(-1e6, 1e6)
    return cfa, tuple(draw(st.lists(levels, min_size=len(cfa), max_size=len(cfa))))


def made(mosaic, **fields):
    return Camera(cfa=mosaic[0], black_level=mosaic[1], **fields)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.builds(
        made,
        mosaics(),
        make=text,
        model=text,
        white_level=st.floats(1.1e6, 1e300),
        as_shot_neutral=st.tuples(positive, positive, positive),
        color_matrix=st.tuples(*[finite] * 9),
        illuminant=st.integers(0, 65535),
        orientation=st.integers(1, 8),
        crop=st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 2),
        exif=st.dictionaries(text, text, max_size=5),
    )
)
def test_every_field_comes_back_exactly(camera):
    back = unpack_camera(pack_camera(camera), camera.orientation)
    assert back == camera
    assert [math.copysign(1, v) for v in back.color_matrix] == [
        math.copysign(1, v) for v in camera.color_matrix
    ]


def test_order_of_exif_tags_does_not_change_the_bytes():
    assert pack_camera(Camera(exif={"a": "1", "b": "2"})) == pack_camera(
        Camera(exif={"b": "2", "a": "1"})
    )


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"color_matrix": (math.nan,) * 9}, "float64"),
        ({"white_level": math.inf}, "float64"),
        ({"white_level": 2**53 + 1}, "float64"),
        ({"illuminant": 65536}, "out of range"),
        ({"crop": (2**31, 0)}, "out of range"),
        ({"make": "x" * 65536}, "too long"),
        ({"exif": {"a": "\ud800"}}, "surrogates"),
    ],
)
def test_what_cannot_be_stored_is_refused(changes, cause):
    with pytest.raises(ValueError, match=cause):
        pack_camera(Camera().replace(**changes))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", range(17))
def test_forged_floats_are_refused(field, value):
    data = bytearray(pack_camera(Camera()))
    struct.pack_into(">d", data, LEVELS + 8 * field, value)
    with pytest.raises(PayloadCorrupt, match="not finite"):
        unpack_camera(bytes(data), 1)


def test_forged_camera_that_camera_refuses_is_corrupt():
    data = bytearray(pack_camera(Camera()))
    struct.pack_into(">d", data, LEVELS + 8 * 4, -1.0)
    with pytest.raises(PayloadCorrupt, match="white_level"):
        unpack_camera(bytes(data), 1)
    for cfa in (b"RGBB", b"\x00" * 4, b"RGGX"):
        with pytest.raises(PayloadCorrupt, match="cfa"):
            unpack_camera(pack_camera(Camera()).replace(b"RGGB", cfa), 1)


@pytest.mark.parametrize("cfa", ["", "R", "RGG", "G" * 36, "RGB" * 27, "W" * 4, "x" * 65535])
def test_forged_patterns_are_refused(cfa):
    rest = pack_camera(Camera())[LEVELS + 4 * 8 :]
    head = text_field(cfa) + struct.pack(f">{len(cfa)}d", *[0.0] * len(cfa))
    with pytest.raises(PayloadCorrupt, match="cfa"):
        unpack_camera(head + rest, 1)


def test_forged_texts_are_refused():
    data = pack_camera(Camera(make="Ä"))
    with pytest.raises(PayloadCorrupt, match="not UTF-8"):
        unpack_camera(data.replace("Ä".encode(), b"\xc3\xc3"), 1)
    with pytest.raises(PayloadCorrupt, match="too long"):
        unpack_camera(data + b"\x00", 1)
    twice = pack_camera(Camera(exif={"a": "1", "b": "2"})).replace(b"\x01b", b"\x01a")
    with pytest.raises(PayloadCorrupt, match="twice"):
        unpack_camera(twice, 1)

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isp_meta.camera import BAYER_PATTERNS, Camera
from isp_meta.codec.camera import pack_camera, unpack_camera
from isp_meta.errors import PayloadCorrupt

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
text = st.text(max_size=50)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.builds(
        Camera,
        make=text,
        model=text,
        cfa=st.sampled_from(BAYER_PATTERNS),
        black_level=st.tuples(*[st.floats(-1e6, 1e6)] * 4),
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
    struct.pack_into(">d", data, 8 * field, value)
    with pytest.raises(PayloadCorrupt, match="not finite"):
        unpack_camera(bytes(data), 1)


def test_forged_camera_that_camera_refuses_is_corrupt():
    data = bytearray(pack_camera(Camera()))
    struct.pack_into(">d", data, 8 * 4, -1.0)
    with pytest.raises(PayloadCorrupt, match="white_level"):
        unpack_camera(bytes(data), 1)
    data = pack_camera(Camera(cfa="RGGB")).replace(b"RGGB", b"RGB\xff")
    with pytest.raises(PayloadCorrupt, match="cfa"):
        unpack_camera(data, 1)


def test_forged_texts_are_refused():
    data = pack_camera(Camera(make="Ä"))
    with pytest.raises(PayloadCorrupt, match="not UTF-8"):
        unpack_camera(data.replace("Ä".encode(), b"\xc3\xc3"), 1)
    with pytest.raises(PayloadCorrupt, match="too long"):
        unpack_camera(data + b"\x00", 1)
    twice = pack_camera(Camera(exif={"a": "1", "b": "2"})).replace(b"\x01b", b"\x01a")
    with pytest.raises(PayloadCorrupt, match="twice"):
        unpack_camera(twice, 1)

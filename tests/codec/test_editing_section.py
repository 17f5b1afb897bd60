"""Section eDIT: what comes back, what is refused, and what goes first where there is no room."""

from __future__ import annotations

import dataclasses
import random
import struct
import zlib

import golden
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isp_meta.camera import EDITOR_TAGS, EditorTag, EditorTags
from isp_meta.codec import editing_within, encode
from isp_meta.codec.editing import MOST_EDITING, editing_size, pack_editing, unpack_editing
from isp_meta.errors import PayloadCorrupt

SIZE = (70, 90)


def field(code, type, values):
    return struct.pack(">HBI", code, type, len(values)) + b"".join(values[i::4] for i in range(4))


def noise(length, seed=1):
    """Bytes that cannot be deflated."""
    return random.Random(seed).randbytes(length)


def table(code, floats):
    return code, EditorTag.of(11, [0.5 + (i * 7919 % 1000) / 3000 for i in range(floats)])


@given(st.binary(min_size=1, max_size=50))
def test_any_number_of_bytes_comes_back(values):
    told = EditorTags(SIZE, {51008: EditorTag(7, values)})
    again = unpack_editing(pack_editing(told), SIZE)
    assert (again.size, again.tags) == (SIZE, told.tags)


def test_tags_of_later_versions_are_left_out():
    content = field(50708, 2, b"A\0") + field(50730, 11, b"\0" * 4) + field(60000, 99, b"?")
    found = unpack_editing(zlib.compress(content), SIZE)
    assert found.names == ("UniqueCameraModel", "BaselineExposure")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (field(50730, 11, b"\0" * 4) + field(50708, 2, b"A\0"), "out of its order"),
        (field(50708, 2, b"A\0") * 2, "out of its order"),
        (field(50708, 2, b"A\0")[:-1], "too early"),
        (field(50708, 2, b"A"), "UniqueCameraModel"),
        (field(50708, 2, b"\xff\0"), "UniqueCameraModel"),
        (field(50708, 3, b"A\0"), "UniqueCameraModel"),
        (field(50730, 11, b""), "BaselineExposure"),
        (field(50730, 11, b"\x7f\xc0\0\0"), "BaselineExposure"),
        (field(50730, 99, b"\0" * 4), "BaselineExposure"),
        (field(50730, 5, b"\0\0\0\1\0\0\0\0"), "BaselineExposure"),
        (field(50730, 11, b"\0" * 8), "BaselineExposure"),
        (field(50730, 11, b"\0" * 5), "BaselineExposure"),
        (field(51009, 4, b"\0" * 4), "OpcodeList2"),
        (b"\0" * (MOST_EDITING + 1), "too long"),
    ],
)
def test_damage_is_refused(content, why):
    with pytest.raises(PayloadCorrupt, match=why):
        unpack_editing(zlib.compress(content), SIZE)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b"\1" + b[1:]])
def test_a_damaged_stream_is_refused(change):
    packed = pack_editing(golden.editing())
    with pytest.raises(PayloadCorrupt, match="eDIT"):
        unpack_editing(change(packed), SIZE)


def test_a_lens_may_be_unknown():
    tag = EditorTag.of(5, [24, 1, 70, 1, 0, 0, 0, 0])
    assert tag.fits(EDITOR_TAGS[50736])
    assert not EditorTag.of(5, [0, 0] * 3).fits(EDITOR_TAGS[50727])


def test_what_has_no_room_goes_in_its_order():
    groups = {
        "numbers": [(50708, EditorTag(2, b"Maker\0"))],
        "opcodes": [(51009, EditorTag(7, noise(1000)))],
        "curve": [table(50940, 200)],
        "map": [(50937, EditorTag.of(4, [4, 5, 5])), table(50938, 300), table(50939, 300)],
        "look": [(50981, EditorTag.of(4, [4, 5, 5])), table(50982, 300)],
    }
    known = [dict(groups[name]) for name in groups]
    whole = EditorTags(SIZE, {code: tag for group in known for code, tag in group.items()})
    budget = editing_size(whole)
    for count in range(len(groups), 0, -1):
        fewer = editing_within(whole, budget)
        assert fewer is not None
        assert fewer.tags.keys() == {code for group in known[:count] for code in group}
        assert len(pack_editing(fewer)) <= budget
        budget = len(pack_editing(fewer)) - 1
    assert editing_within(whole, budget) is None


def test_more_than_a_reader_takes_is_not_written():
    long = EditorTag(7, b"\0" * MOST_EDITING)
    told = EditorTags(SIZE, {50708: EditorTag(2, b"A\0"), 51009: long})
    with pytest.raises(ValueError, match="too many"):
        pack_editing(told)
    assert editing_within(told, 1 << 30).names == ("UniqueCameraModel",)


def test_size_is_that_of_the_section():
    whole = golden.golden()
    told = golden.editing()
    with_tags = dataclasses.replace(whole, camera=whole.camera.replace(editing=told))
    assert len(encode(with_tags)) - len(encode(whole)) == editing_size(told)
    assert editing_size(None) == 0


def test_tags_for_a_picture_of_another_size_do_not_travel():
    whole = golden.golden()
    other = EditorTags((9, 9), golden.editing().tags)
    with pytest.raises(ValueError, match="another size"):
        dataclasses.replace(whole, camera=whole.camera.replace(editing=other))


def test_only_known_tags_with_their_values():
    with pytest.raises(ValueError, match="no code 50735"):
        EditorTags(SIZE, {50735: EditorTag(2, b"serial number\0")})
    with pytest.raises(ValueError, match="ColorMatrix1"):
        EditorTags(SIZE, {50721: EditorTag.of(10, [1, 1])})

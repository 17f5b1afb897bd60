"""recover() of files that are no pictures, or no longer."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from isp_meta import CaptureOptions, Embedded, embed, read_metadata, recover
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.segments import APP11, COM, read_segments
from isp_meta.codec import encode
from isp_meta.errors import CarrierError, ImageFileError, IspMetaError, PayloadCorrupt
from isp_meta.samplers import UniformSampler


@pytest.fixture
def made(tmp_path, make_frame) -> Embedded:
    return embed(make_frame(), tmp_path / "a.jpg")


def test_things_that_are_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, text in (("none.jpg", "no such file"), (".", "a folder"), ("pipe", "device or pipe")):
        with pytest.raises(ImageFileError, match=text):
            recover(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xd8", b"text" * 99, b"\xff\xd8\xff\xd9"])
def test_files_that_are_no_jpeg(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises((ImageFileError, CarrierError), match=r"a\.jpg: "):
        recover(path)


def test_jpeg_cut_anywhere(made):
    whole = made.path.read_bytes()
    for length in [*range(0, 200), *range(200, len(whole), 31), len(whole) - 1]:
        made.path.write_bytes(whole[:length])
        with pytest.raises((ImageFileError, CarrierError, PayloadCorrupt), match=r"a\.jpg: "):
            recover(made.path)


def read_or_refuse(path: Path, jpeg: bytes, packed: bytes) -> str:
    """The outcome of reading a mutated file; what is read must be what was stored."""
    path.write_bytes(jpeg)
    try:
        metadata = read_metadata(path)
    except IspMetaError as error:
        return type(error).__name__
    assert encode(metadata.payload) == packed
    return metadata.match


@pytest.fixture
def tiny(tmp_path, make_frame) -> Callable[..., tuple[Path, bytes, bytes]]:
    """A tiny picture that carries its raw: path, JPEG and payload."""

    def make(carrier: str = "app11", text: int = 0) -> tuple[Path, bytes, bytes]:
        exif = {str(n): chr(97 + n) * 60_000 for n in range(text)}
        frame = make_frame(8, 12, exif=exif)
        path = embed(
            frame, tmp_path / "a.jpg", CaptureOptions(carrier=carrier), sampler=UniformSampler(3)
        ).path
        jpeg = path.read_bytes()
        return path, jpeg, jpeg_carrier.extract(jpeg)

    return make


@pytest.mark.parametrize("carrier", ["app11", "com"])
def test_any_byte_of_the_metadata_changed(tiny, carrier):
    path, jpeg, packed = tiny(carrier)
    marker = APP11 if carrier == "app11" else COM
    (ours,) = (segment for segment in read_segments(jpeg) if segment.marker == marker)
    outcomes = Counter()
    for at in range(ours.start, ours.end):
        for change in (0x01, 0x10, 0x80, 0xFF):
            bad = bytearray(jpeg)
            bad[at] ^= change
            outcomes[read_or_refuse(path, bytes(bad), packed)] += 1
    assert outcomes.total() > 1500
    # One place alone may hold anything: the number that tells JUMBF boxes apart.
    assert outcomes["exact"] == (8 if carrier == "app11" else 0)
    assert outcomes["PayloadCorrupt"] > 1200


def test_bytes_anywhere_in_the_file_changed_cut_or_repeated(tiny):
    path, jpeg, packed = tiny()
    chance = random.Random(5)
    outcomes = Counter()
    for _ in range(2500):
        bad = bytearray(jpeg)
        for _ in range(chance.choice((1, 2, 3))):
            start = chance.randrange(len(bad))
            end = min(len(bad), start + chance.choice((1, 2, 4, 50, 500)))
            piece = bytes(bad[start:end])
            kind = chance.randrange(4)
            if kind == 0:
                bad[start:end] = chance.randbytes(end - start)
            elif kind == 1:
                del bad[start:end]
            elif kind == 2:
                bad[start:start] = piece
            else:
                at = chance.randrange(len(bad))
                bad[at : at + len(piece)] = piece
            if not bad:
                break
        outcomes[read_or_refuse(path, bytes(bad), packed)] += 1
    assert {"exact", "PayloadCorrupt", "CarrierError", "ImageFileError"} <= outcomes.keys()


@pytest.mark.parametrize("carrier", ["app11", "com"])
def test_segments_in_any_order_twice_or_lost(tiny, carrier):
    path, jpeg, packed = tiny(carrier, text=3)
    marker = APP11 if carrier == "app11" else COM
    ours = [segment for segment in read_segments(jpeg) if segment.marker == marker]
    assert len(ours) == 3
    head, tail = jpeg[: ours[0].start], jpeg[ours[-1].end :]
    pieces = [jpeg[segment.start : segment.end] for segment in ours]

    def outcome(order: tuple[int, ...]) -> str:
        return read_or_refuse(path, head + b"".join(pieces[n] for n in order) + tail, packed)

    for count in range(5):
        for order in itertools.product(range(3), repeat=count):
            whole = set(order) == {0, 1, 2}
            missing = not order or (carrier == "app11" and 0 not in order)
            expected = "exact" if whole else "PayloadMissing" if missing else "PayloadCorrupt"
            assert outcome(order) == expected, order


@pytest.mark.parametrize("carrier", ["app11", "com"])
def test_segments_of_two_pictures_never_mix(tmp_path, make_frame, tiny, carrier):
    path, jpeg, packed = tiny(carrier, text=3)
    exif = {str(n): chr(110 + n) * 60_000 for n in range(3)}
    other = embed(
        make_frame(8, 12, exif=exif),
        tmp_path / "b.jpg",
        CaptureOptions(carrier=carrier),
        sampler=UniformSampler(3),
    ).path.read_bytes()
    marker = APP11 if carrier == "app11" else COM
    ours, theirs = (
        [whole[segment.start : segment.end] for segment in read_segments(whole)
         if segment.marker == marker]
        for whole in (jpeg, other)
    )  # fmt: skip
    assert [len(piece) for piece in ours] == [len(piece) for piece in theirs]
    plain = jpeg_carrier.strip(jpeg)
    for choice in itertools.product((0, 1), repeat=3):
        mixed = [(ours, theirs)[which][n] for n, which in enumerate(choice)]
        whole = plain[:2] + b"".join(mixed) + plain[2:]
        if choice == (1, 1, 1):
            continue
        expected = "exact" if choice == (0, 0, 0) else "PayloadCorrupt"
        assert read_or_refuse(path, whole, packed) == expected

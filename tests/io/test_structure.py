"""Files that end early are refused by what their own structure says of sizes."""

from __future__ import annotations

import random
import struct

import maker_files
import pytest

from isp_meta.errors import RawFileDamaged, RawFileError, RawFileUnsupported
from isp_meta.io.signatures import what_is
from isp_meta.io.structure import check_whole, tiff_directories

SCENE = maker_files.scene()
WHOLE: dict[str, bytes] = {
    "NEF": maker_files.raw_tiff(SCENE),
    "ARW": maker_files.arw(SCENE),
    "CR2": maker_files.cr2(SCENE),
    "RW2": maker_files.rw2(),
    "RAF": maker_files.raf(SCENE),
    "CR3": maker_files.cr3(),
    "MRW": maker_files.mrw(SCENE),
    "CRW": maker_files.crw(),
    "IIQ": maker_files.iiq(),
}


def check(data: bytes) -> None:
    check_whole(data, what_is(data), "a.raw")


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_pass(kind: str) -> None:
    check(WHOLE[kind])


@pytest.mark.parametrize("missing", [1, 7, 0.01, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_ends_early_is_refused(kind: str, missing: float) -> None:
    data = WHOLE[kind]
    kept = len(data) - missing if isinstance(missing, int) else int(len(data) * (1 - missing))
    cut = data[: int(kept)]
    assert what_is(cut) == what_is(data)
    with pytest.raises(RawFileDamaged, match=rf"a\.raw: .* {len(cut)} .*; copy it again"):
        check(cut)


@pytest.mark.parametrize("kind", ["NEF", "ARW", "CR2", "RW2", "RAF", "CR3", "MRW"])
def test_both_sizes_are_told(kind: str) -> None:
    data = WHOLE[kind]
    text = f"it has {len(data) - 100} of at least {len(data)} bytes"
    with pytest.raises(RawFileDamaged, match=text):
        check(data[:-100])


def test_twelve_kilobytes_of_twenty_megabytes() -> None:
    data = maker_files.rw2(count=20_000_000)
    with pytest.raises(RawFileDamaged, match=r"it has 12000 of at least 20000\d\d\d bytes"):
        check(data[:12000])


def test_the_strip_is_named() -> None:
    height = len(SCENE) // 4
    data = SCENE.astype("<u2").tobytes()
    size = len(data) // 4
    head = len(maker_files.raw_tiff(SCENE)) - len(data) + 32
    strips = tuple(head + size * number for number in range(4))
    more = {278: (4, height), 273: (4, strips), 279: (4, (size,) * 4)}
    whole = maker_files.raw_tiff(SCENE, more=more)
    assert len(whole) == head + len(data)
    check(whole)
    with pytest.raises(RawFileDamaged, match="strip 3 of 4 is incomplete"):
        check(whole[: -size - 1])


def test_a_preview_beyond_the_end_does_not_matter() -> None:
    preview = maker_files.raw_tiff(SCENE, more={254: (4, 1)})
    check(preview[:-10])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (bytes(9000), r"strip 1 of 1 \(9000 bytes\) holds nothing but zeros"),
        (b"\x12" * 9000 + bytes(70000), r"strip 1 of 1 .* ends in 65536 zeros or more"),
    ],
)
def test_what_a_failed_copy_left_in_zeros(data: bytes, text: str) -> None:
    with pytest.raises(RawFileDamaged, match=text):
        check(maker_files.cr2(SCENE, data))


def test_zeros_of_a_dark_picture_pass() -> None:
    check(maker_files.raw_tiff(SCENE * 0))


def test_a_diagonal_grid_is_named() -> None:
    data = maker_files.raf(SCENE, x_trans=False, layout=b"\x0c\x04", black=(1022,) * 4)
    with pytest.raises(RawFileUnsupported, match="Super CCD"):
        check(data)


def test_a_circle_of_directories_ends() -> None:
    data = bytearray(maker_files.raw_tiff(SCENE))
    count = struct.unpack_from("<H", data, 8)[0]
    struct.pack_into("<I", data, 10 + 12 * count, 8)  # the next directory is the first
    assert len(list(tiff_directories(bytes(data)))) == 1


def test_hostile_bytes_raise_only_our_error() -> None:
    generator = random.Random(1)
    sources = list(WHOLE.values())
    refused = 0
    for number in range(900):
        damaged = bytearray(sources[number % len(sources)])
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(4, 400)] = generator.choice((0, 1, 255))
        try:
            check(bytes(damaged))
        except RawFileError:
            refused += 1
    assert refused > 30

"""Pictures other than JPEG that carry their raw, and where that was taken."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from PIL import Image

from isp_meta import CaptureOptions, carriers, embed, io, read_metadata, recover
from isp_meta.data import sample_path
from isp_meta.errors import CarrierError

PLACE = {
    "GPSLatitudeRef": "N",
    "GPSLatitude": "52/1 30/1 59/1",
    "GPSLongitudeRef": "E",
    "GPSLongitude": "13/1 24/1 0/1",
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def psnr(estimate: torch.Tensor, truth: torch.Tensor) -> float:
    return float(-10 * (estimate - truth).square().mean().log10())


@pytest.mark.parametrize(
    ("name", "depth", "sixteen"),
    [
        ("a.png", None, False),
        ("a.png", 16, True),
        ("a.tif", None, True),
        ("a.TIFF", 8, False),
        ("a.tif", 16, True),
    ],
)
def test_png_and_tiff_carry_raw_too(tmp_path, make_frame, name, depth, sixteen):
    made = embed(make_frame(), tmp_path / name, CaptureOptions(depth=depth))
    metadata = read_metadata(made.path)
    assert (metadata.match, metadata.source, made.sidecar) == ("exact", made.path, None)
    assert metadata.size == made.payload_bytes
    assert metadata.codes.dtype == (torch.int32 if sixteen else torch.uint8)
    recovered = recover(made.path)
    assert recovered.srgb.equal(made.frame.srgb)
    assert psnr(recovered.raw, made.frame.raw) > 38
    stripped = carriers.strip(made.path.read_bytes())
    assert made.picture_bytes == len(stripped)
    assert io.decode_image(stripped, name, deep=True).equal(metadata.codes)


def test_sixteen_bits_are_used(tmp_path, make_frame):
    made = {
        depth: embed(make_frame(), tmp_path / f"{depth}.png", CaptureOptions(depth=depth))
        for depth in (8, 16)
    }
    values = {depth: one.frame.srgb.unique().numel() for depth, one in made.items()}
    assert values[8] <= 256 < 5000 < values[16]


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("a.jpg", {"depth": 16}, "takes 8 bits, not 16"),
        ("a.png", {"depth": 12}, "depth must be 8 or 16, not 12"),
        ("a.png", {"carrier": "app11"}, "carrier must be chunk or sidecar"),
        ("a.tif", {"carrier": "chunk"}, "carrier must be tag or sidecar"),
        ("a.jpg", {"carrier": "tag"}, "carrier must be app11 or com or sidecar"),
    ],
)
def test_what_a_file_cannot_be_is_refused_before_the_work(
    tmp_path, make_frame, name, options, text
):
    steps: list[str] = []
    with pytest.raises(ValueError, match=text):
        embed(make_frame(), tmp_path / name, CaptureOptions(**options), progress=steps.append)
    assert (steps, names(tmp_path)) == ([], [])


def test_existing_png_is_embedded_into(tmp_path, make_frame):
    frame = make_frame()
    bare = tmp_path / "bare.png"
    bare.write_bytes(carriers.strip(embed(frame, tmp_path / "a.png").path.read_bytes()))
    into = embed(frame, tmp_path / "b.png", existing=bare)
    assert carriers.strip(into.path.read_bytes()) == bare.read_bytes()
    assert into.path.read_bytes() == (tmp_path / "a.png").read_bytes()
    with pytest.raises(CarrierError, match=r"bare\.png: is of another kind than .*c\.jpg"):
        embed(frame, tmp_path / "c.jpg", existing=bare)


def test_place_passes_only_when_asked(tmp_path):
    source = sample_path().read_bytes()
    directory = io.gps.gps_directory(PLACE)
    packed = io.exif.pack_directory(directory, len(source), io.gps.TYPES)
    # A directory of its own behind the file, and a tag that points to it.
    first = carriers.directories.read_directory(source)
    entry = carriers.directories.Entry(34853, 4, 1, struct.pack("<I", len(source)))
    entries = sorted([*first.entries, entry], key=lambda entry: entry.tag)
    end = len(source) + len(packed)
    raw = tmp_path / "photo.dng"
    raw.write_bytes(source[:4] + struct.pack("<I", end) + source[8:] + packed + first.pack(entries))
    for asked in (False, True):
        made = embed(raw, tmp_path / f"{asked}.jpg", CaptureOptions(gps=asked, effort=0))
        with Image.open(made.path) as picture:
            place = picture.getexif().get_ifd(0x8825)
        assert place == (
            {0: b"\2\3\0\0", 1: "N", 2: (52, 30, 59), 3: "E", 4: (13, 24, 0)} if asked else {}
        )
        told = read_metadata(made.path).payload.camera.exif
        assert {name: told[name] for name in PLACE if name in told} == (PLACE if asked else {})

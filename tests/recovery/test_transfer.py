"""strip, extract and attach, as functions; tests/cli/test_metadata.py has the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from isp_meta import attach, carriers, embed, extract, read_metadata, recover, strip
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.errors import (
    CarrierError,
    ImageFileError,
    OutputError,
    PayloadCorrupt,
    PayloadMissing,
    PictureMismatch,
)

KINDS = ["a.jpg", "a.png", "a.tif"]


@pytest.fixture(params=KINDS)
def photo(request, tmp_path, make_frame) -> Path:
    return embed(make_frame(), tmp_path / request.param).path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_embedding_into_an_existing_picture_leaves_no_trace_behind(tmp_path, make_frame, photo):
    original = tmp_path / f"original{photo.suffix}"
    strip(photo, original)
    whole = tmp_path / f"whole{photo.suffix}"
    embed(make_frame(), whole, existing=original)
    removed = strip(whole, in_place=True)
    assert whole.read_bytes() == original.read_bytes()
    assert removed > 1000
    assert strip(whole, in_place=True) == 0


def test_out_and_in_again(photo):
    whole, expected = photo.read_bytes(), recover(photo).raw
    assert extract(photo) == sidecar_path(photo)
    assert sidecar_path(photo).read_bytes() == carriers.extract(whole)
    strip(photo, in_place=True)
    assert read_metadata(photo).source == sidecar_path(photo)
    found = attach(photo, in_place=True)
    assert (found.match, found.source) == ("exact", sidecar_path(photo))
    assert photo.read_bytes() == whole
    sidecar_path(photo).unlink()
    assert recover(photo).raw.equal(expected)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_from_one_kind_into_another(photo, suffix, tmp_path):
    other = tmp_path / f"other{suffix}"
    with Image.open(photo) as picture:
        picture.convert("RGB").save(other, **({"quality": 95} if suffix == ".jpg" else {}))
    found = attach(other, photo, tmp_path / f"both{suffix}")
    assert found.match in ("exact", "recompressed")
    assert read_metadata(tmp_path / f"both{suffix}").payload.samples.index.equal(
        read_metadata(photo).payload.samples.index
    )


def test_places(tmp_path, make_frame):
    photo = embed(make_frame(), tmp_path / "a.jpg").path
    attach(photo, photo, tmp_path / "b.jpg", place="com")
    data = (tmp_path / "b.jpg").read_bytes()
    assert carriers.extract(data) == carriers.extract(photo.read_bytes())
    assert b"\xff\xeb" not in data[:200]
    with pytest.raises(CarrierError, match=r"a\.jpg: .*no place 'tag'"):
        attach(photo, photo, tmp_path / "c.jpg", place="tag")


def test_another_picture_is_refused(photo, tmp_path, make_frame):
    frame = make_frame()
    darker = frame.replace(codes=64 + (frame.codes - 64) / 4)
    other = embed(darker, tmp_path / f"other{photo.suffix}").path
    before = other.read_bytes()
    with pytest.raises(PictureMismatch, match=rf"other\{photo.suffix}: .*another picture"):
        attach(other, photo, in_place=True)
    small = embed(make_frame(40, 40), tmp_path / f"small{photo.suffix}").path
    with pytest.raises(PictureMismatch, match="has 40x40 pixels"):
        attach(small, photo, in_place=True, force=True)
    assert other.read_bytes() == before
    assert attach(other, photo, in_place=True, force=True).match in ("edited", "foreign")


@pytest.mark.parametrize("function", [strip, attach])
def test_exactly_one_target(function, photo, tmp_path):
    with pytest.raises(ValueError, match="name an output, or ask"):
        function(photo)
    with pytest.raises(ValueError, match="name an output, or ask"):
        function(photo, output=tmp_path / "b", in_place=True)
    extract(photo)
    with pytest.raises(OutputError, match="is the file that"):
        function(photo, output=photo, overwrite=True)
    (tmp_path / "b").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        function(photo, output=tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"mine"
    function(photo, output=tmp_path / "b", overwrite=True)
    assert names(tmp_path) == [photo.name, sidecar_path(photo).name, "b"]


def test_what_is_not_there_or_damaged(photo, tmp_path):
    with pytest.raises(ImageFileError, match="no such file"):
        attach(photo, tmp_path / "none", in_place=True)
    (tmp_path / "rubbish").write_bytes(b"rubbish")
    with pytest.raises(PayloadCorrupt, match="rubbish: "):
        attach(photo, tmp_path / "rubbish", in_place=True)
    with pytest.raises(CarrierError, match="rubbish: "):
        strip(tmp_path / "rubbish", in_place=True)
    strip(photo, in_place=True)
    with pytest.raises(PayloadMissing):
        extract(photo)
    with pytest.raises(PayloadMissing):
        attach(photo, photo, tmp_path / "b")
    assert names(tmp_path) == [photo.name, "rubbish"]

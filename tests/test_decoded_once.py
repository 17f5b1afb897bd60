"""What reads a picture decodes it once; what is given what was read of it, never again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from isp_meta import CaptureOptions, embed, io, read_metadata, recover
from isp_meta.comparison import compare
from isp_meta.recovery import verify
from isp_meta.report import build_report


def page(path, raw):
    return build_report(path, raw, width=320)


READERS = {
    "verify": lambda picture, _raw: verify(picture),
    "recover": lambda picture, _raw: recover(picture),
    "compare": lambda picture, raw: compare(raw, picture),
    "report": page,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_frame) -> Path:
    """raw.dng, and pictures of every kind that carry it; not to be changed."""
    folder = tmp_path_factory.mktemp("decoded")
    frame = make_frame(48, 64)
    raw = frame.replace(raw=((frame.codes - 64) / (4095 - 64)).expand(3, -1, -1))
    io.write_dng(folder / "raw.dng", raw)
    options = {
        **dict.fromkeys(("a.jpg", "a.png", "a.tif"), CaptureOptions(effort=0)),
        "predicted.jpg": CaptureOptions(effort=0, coding="predicted"),
        "whole.jpg": CaptureOptions(effort=0, lossless=True),
        "beside.png": CaptureOptions(effort=0, carrier="sidecar"),
    }
    for name, chosen in options.items():
        embed(folder / "raw.dng", folder / name, chosen)
    return folder


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "name", ["a.jpg", "a.png", "a.tif", "predicted.jpg", "whole.jpg", "beside.png"]
)
def test_a_picture_is_decoded_once(folder, decoded, reader, name):
    reader(folder / name, folder / "raw.dng")
    assert decoded == {name: 1}
    metadata = read_metadata(folder / name)
    decoded.clear()
    reader(metadata, folder / "raw.dng")
    assert not decoded


def test_what_was_read_serves_as_the_file_does(folder):
    path, raw = folder / "a.jpg", folder / "raw.dng"
    metadata = read_metadata(path)
    frame = recover(path)
    assert torch.equal(recover(metadata).raw, frame.raw)
    figures, got, truth = compare(raw, path)
    assert torch.equal(got, frame.raw)
    for found in (compare(raw, metadata), compare(raw, metadata, estimate=frame)):
        assert found[0] == figures
        assert torch.equal(found[1], got)
        assert torch.equal(found[2], truth)
    assert page(metadata, raw) == page(path, raw)


def test_an_estimate_is_what_is_compared(folder):
    path, raw = folder / "a.jpg", folder / "raw.dng"
    frame = recover(path)
    dark = frame.replace(raw=frame.raw / 2)
    figures, got, _truth = compare(raw, path, estimate=dark)
    assert torch.equal(got, dark.raw)
    assert figures.psnr < compare(raw, path)[0].psnr - 10
    assert figures.bits_per_pixel == read_metadata(path).bits_per_pixel

"""Golden files: bytes of every version and section that must be read, and written, for ever."""

from __future__ import annotations

import dataclasses
import zlib

import golden
import numpy as np
import pytest
import torch
from second_reader.payload import means_of, read, sections_of

from isp_meta.codec import decode, encode

FILES = {name: (coding, payload) for name, coding, payload in golden.files()}
PICTURE = golden.PIXELS.numpy().astype(np.int64)


@pytest.fixture(params=FILES)
def file(request):
    coding, payload = FILES[request.param]
    return (golden.FOLDER / f"{request.param}.ispmeta").read_bytes(), coding, payload


def assert_same_fields(found, wanted):
    assert (found is None) == (wanted is None)
    for field in dataclasses.fields(wanted) if wanted is not None else ():
        one, other = getattr(found, field.name), getattr(wanted, field.name)
        same = torch.equal(one, other) if isinstance(other, torch.Tensor) else one == other
        assert same, field.name


def assert_same_enhancement(found, wanted):
    assert (found is None) == (wanted is None)
    assert found is None or found.pack() == wanted.pack()


def assert_same_editing(found, wanted):
    assert (found is None) == (wanted is None)
    assert found is None or (found.size, found.tags) == (wanted.size, wanted.tags)


def but_for_zlib(data):
    """A payload's version and sections, with what zlib deflated as it was: its versions differ."""
    sections = sections_of(data)
    if "eDIT" in sections:
        sections["eDIT"] = zlib.decompress(sections["eDIT"])
    return data[:12], data[20:40], list(sections.items())


def test_every_file_of_the_folder_is_known():
    assert {path.stem for path in golden.FOLDER.glob("*.ispmeta")} == FILES.keys()


def test_golden_files_decode_for_ever(file, assert_same):
    data, _coding, payload = file
    decoded = decode(data, lambda: golden.PIXELS)
    assert_same(decoded, payload)
    assert_same_fields(decoded.parametric, payload.parametric)
    assert_same_fields(decoded.samples.model, payload.samples.model)
    assert decoded.samples.control == payload.samples.control
    assert decoded.depth == payload.depth
    assert decoded.mosaic == payload.mosaic
    assert_same_enhancement(decoded.enhancement, payload.enhancement)
    assert_same_editing(decoded.camera.editing, payload.camera.editing)


def test_every_machine_writes_the_golden_bytes(file):
    data, coding, payload = file
    again = encode(payload, coding=coding, pixels=golden.PIXELS)
    assert but_for_zlib(again) == but_for_zlib(data)
    assert payload.camera.editing is not None or again == data


def test_second_reader_reads_the_golden_files(file, assert_read):
    data, _coding, payload = file
    found = read(data, PICTURE)
    assert_read(found, payload)
    assert found["binding"][2] == means_of(PICTURE)


@pytest.mark.parametrize(("name", "step"), [("mosaic", 1), ("mosaic-guided", 3)])
def test_second_reader_reads_the_mosaic(name, step):
    found = read((golden.FOLDER / f"payload-v1-{name}.ispmeta").read_bytes(), PICTURE)
    assert np.array_equal(found["mosaic"], golden.codes(step).numpy())


@pytest.mark.parametrize(("name", "channels"), [("xtrans", 1), ("monochrome", 1), ("linear", 3)])
def test_second_reader_reads_every_color_filter(name, channels):
    found = read((golden.FOLDER / f"payload-v1-{name}.ispmeta").read_bytes(), PICTURE)
    seen = [golden.codes() + 7 * color for color in range(channels)]
    assert np.array_equal(found["mosaic"], torch.cat(seen).numpy())


@pytest.mark.parametrize(("name", "channels"), [("enhanced", 1), ("enhanced-linear", 3)])
def test_second_reader_reads_the_enhancement(name, channels):
    found = read((golden.FOLDER / f"payload-v1-{name}.ispmeta").read_bytes())["enhancement"]
    recovered = torch.full((channels, golden.HEIGHT, golden.WIDTH), 0.5)
    wanted = golden.enhancement(channels).apply(recovered)
    assert np.allclose(found, wanted.numpy(), atol=1e-5)
    assert 0.1 < (wanted != 0.5).float().mean() < 0.9
    assert (wanted == 1).any()
    assert (wanted == 0).any()


@pytest.mark.parametrize(
    ("name", "model"),
    [("local-rbf", golden.local_rbf(33)), ("control", golden.local_rbf(49, "features-1"))],
)
def test_second_reader_reads_the_model(name, model):
    found = read((golden.FOLDER / f"payload-v1-{name}.ispmeta").read_bytes())["local_rbf"]
    assert (found.kernel, found.neighbors) == (model.KERNELS.index(model.kernel), model.neighbors)
    assert found.scales == (model.position_scale, model.color_scale, model.ridge)
    assert found.network == model.network
    for field in ("cubic", "centers", "gains", "weights"):
        assert np.array_equal(getattr(found, field).astype("f4"), getattr(model, field).numpy())


def test_second_reader_reads_the_formula():
    found = read((golden.FOLDER / "payload-v1-parametric.ispmeta").read_bytes())["formula"]
    model = golden.formula()
    assert found.radius == model.radius
    for field in ("gains", "matrix", "curves", "points", "weights"):
        assert np.array_equal(getattr(found, field).astype("f4"), getattr(model, field).numpy())


def test_second_reader_reads_what_editors_are_told():
    found = read((golden.FOLDER / "payload-v1-editing.ispmeta").read_bytes())["editing"]
    assert found == {code: (tag.type, tag.data) for code, tag in golden.editing().tags.items()}


def test_second_reader_puts_the_missing_bits_back():
    found = read((golden.FOLDER / "payload-v1-depth.ispmeta").read_bytes())
    true, left, recovery, network = found["depth"]
    assert (true, left, recovery, network) == (8, 4, 2, "bit-depth-1")
    whole = PICTURE.reshape(3, -1)[:, found["index"]].T
    shown = whole >> 4 << 4 | 9  # whatever stands below the bits that are left
    assert np.array_equal((shown >> 8 - left) * 2 ** (true - left) + found["values"], whole)

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import isp_meta
from isp_meta import bit_depth, io
from isp_meta.errors import ImageFileError, OutputError, PayloadMissing, PictureMismatch
from isp_meta.samplers import UniformSampler


def codes_of(path):
    return io.decode_image(path.read_bytes(), str(path), deep=True)


def psnr(codes, truth, bits):
    error = (codes.double() - truth.double()).square().mean()
    return float(10 * torch.log10((2**bits - 1) ** 2 / error))


@pytest.mark.parametrize("method", ["network", "guided", "local-rbf", "best"])
def test_four_bits_and_back(files, photo, tmp_path, method):
    path = tmp_path / "low.png"
    done = bit_depth.embed(files / "photo.png", path, 4, method=method)
    assert (done.depth.true, done.depth.left) == (8, 4)
    assert method in ("best", done.depth.recovery)
    assert torch.equal(codes_of(path), bit_depth.degrade(photo, 4))
    found = bit_depth.recover(path)
    assert torch.equal(found.codes >> 4, photo.int() >> 4)  # nothing leaves its bin
    kept = done.samples.index
    assert torch.equal(found.codes.flatten(1)[:, kept], photo.int().flatten(1)[:, kept])
    middle = (photo.int() >> 4 << 4) + 8
    assert psnr(found.codes, photo, 8) > psnr(middle, photo, 8) + 1.5
    assert psnr(found.codes, photo, 8) == pytest.approx(done.psnr, abs=0.01)
    assert 0.015 < len(done.samples) / photo[0].numel() < 0.017


@pytest.mark.parametrize(("name", "bits", "true_bits"), [
    ("deep.png", 8, None), ("deep.tif", 8, 12), ("deep.png", 12, None), ("photo.png", 3, None),
    ("photo.png", 7, None), ("photo.png", 1, 2),
])  # fmt: skip
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_other_depths(files, tmp_path, name, bits, true_bits, ending):
    source = codes_of(files / name)
    room = 8 if source.dtype == torch.uint8 else 16
    truth = source.int() >> (room - (true_bits or room))
    path = tmp_path / f"low{ending}"
    bit_depth.embed(files / name, path, bits, true_bits=true_bits, method="network")
    assert codes_of(path).dtype == (torch.uint8 if bits <= 8 else torch.int32)
    found = bit_depth.recover(path)
    taken = found.depth.taken
    assert torch.equal(found.codes >> taken, truth >> taken)
    back = tmp_path / "back.tif"
    found.write(back)
    stored = codes_of(back)
    file_bits = 8 if stored.dtype == torch.uint8 else 16
    assert torch.equal(stored.int() >> (file_bits - found.depth.true), found.codes)


def test_fine_tuning_is_repeatable_and_keeps_samples(files, tmp_path, photo):
    path = tmp_path / "low.png"
    done = bit_depth.embed(files / "photo.png", path, 4, method="network", sampler=UniformSampler())
    first, again = (bit_depth.recover(path, fine_tune=2).codes for _ in range(2))
    assert torch.equal(first, again)
    kept = done.samples.index
    assert torch.equal(first.flatten(1)[:, kept], photo.int().flatten(1)[:, kept])


def test_the_best_way_is_the_one_that_gives_the_most(files, tmp_path):
    tried = {
        method: bit_depth.embed(
            files / "photo.png", tmp_path / "low.png", 4, method=method, overwrite=True
        )
        for method in ("guided", "network", "local-rbf", "best")
    }
    best = tried.pop("best")
    assert best.psnr == max(done.psnr for done in tried.values())
    assert best.psnr > min(done.psnr for done in tried.values())
    assert tried[best.depth.recovery].psnr == best.psnr


def test_fine_tuning_is_refused_where_samples_mislead_it(files, tmp_path):
    path = tmp_path / "low.png"
    bit_depth.embed(files / "photo.png", path, 4, method="network")
    with pytest.raises(ValueError, match=r"low\.png.*largest error.*uniform"):
        bit_depth.recover(path, fine_tune=2)
    for method in ("guided", "local-rbf"):
        bit_depth.embed(files / "photo.png", path, 4, method=method, overwrite=True)
        with pytest.raises(ValueError, match=rf"low\.png.*{method}.*nothing to fine-tune"):
            bit_depth.recover(path, fine_tune=2)


def test_a_sampler_of_ones_own(files, tmp_path):
    path = tmp_path / "low.png"
    done = bit_depth.embed(
        files / "photo.png", path, 4, sampler=UniformSampler(16), method="local-rbf"
    )
    assert len(done.samples) == 5 * 6
    assert isp_meta.read_metadata(path).payload.sampler == "UniformSampler"


def test_smallest_picture(tmp_path):
    source, path = tmp_path / "one.png", tmp_path / "low.png"
    Image.fromarray(np.full((1, 1, 3), 77, np.uint8)).save(source)
    bit_depth.embed(source, path, 4)
    assert bit_depth.recover(path).codes.flatten().tolist() == [77] * 3


def test_one_kind_of_metadata_is_not_taken_for_the_other(files, tmp_path, embedded_sample):
    path = tmp_path / "low.png"
    bit_depth.embed(files / "photo.png", path, 4, method="local-rbf")
    with pytest.raises(PayloadMissing, match="bit-depth recover"):
        isp_meta.recover(path)
    with pytest.raises(PayloadMissing, match="isp-meta recover"):
        bit_depth.recover(embedded_sample.path)


def test_an_edited_picture_is_refused(files, tmp_path):
    path = tmp_path / "low.png"
    bit_depth.embed(files / "photo.png", path, 4, method="local-rbf")
    sidecar = tmp_path / "low.png.ispmeta"
    isp_meta.extract(path, sidecar)
    edited = 255 - codes_of(path)
    path.write_bytes(io.encode_png(io.display_values(edited)))
    with pytest.raises(PictureMismatch, match=r"low\.png"):
        bit_depth.recover(path)


def test_refusals_name_the_file_and_leave_nothing(files, tmp_path):
    out = tmp_path / "low.png"
    with pytest.raises(ImageFileError, match=r"photo\.png.*8 bits.*8 of 8"):
        bit_depth.embed(files / "photo.png", out, 8)
    with pytest.raises(ImageFileError, match=r"photo\.png.*4 of 12"):
        bit_depth.embed(files / "photo.png", out, 4, true_bits=12)
    with pytest.raises(ImageFileError, match=r"none\.png"):
        bit_depth.degrade_file(tmp_path / "none.png", out, 4)
    with pytest.raises(ValueError, match=r"low\.jpg.*\.png"):
        bit_depth.embed(files / "photo.png", tmp_path / "low.jpg", 4)
    with pytest.raises(ValueError, match="method"):
        bit_depth.embed(files / "photo.png", out, 4, method="magic")
    out.write_bytes(b"mine")
    with pytest.raises(OutputError, match="overwrite"):
        bit_depth.embed(files / "photo.png", out, 4)
    assert out.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["low.png"]

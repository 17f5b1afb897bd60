from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isp_meta import io
from isp_meta.errors import ImageFileError, TrainingError, TrainingSetError
from isp_meta.networks.depth import bin_width
from isp_meta.training import DepthDataset, Trainer, TrainingConfig
from isp_meta.training.config import DataConfig
from isp_meta.training.systems import build, crops


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name in ("train/a.png", "train/b.png", "val/c.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        y, x = np.mgrid[:60, :80]
        light = 120 + 90 * np.sin(x / 9 + len(name)) * np.cos(y / 7)
        codes = np.stack([light, light * 0.8, 250 - light], -1) + generator.normal(
            0, 2, (60, 80, 3)
        )
        Image.fromarray(codes.clip(0, 255).astype(np.uint8)).save(folder / name)
    deep = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(1))
    (folder / "train/deep.png").write_bytes(io.encode_png(deep, bits=16))
    return folder


def test_items_are_middles_of_bins_around_the_truth(pictures):
    train, val = DepthDataset.split(pictures, ["val/*"], 32, (3, 4, 8))
    assert [path.name for path in val.files] == ["c.png"]
    assert [path.name for path in train.files] == ["a.png", "b.png", "deep.png"]
    assert len(train) == 5 + 5 + 2
    seen = set()
    for epoch in range(12):
        for index in range(len(train)):
            item = train[epoch, index]
            low, true = item["srgb"], item["raw"]
            assert low.shape == true.shape == (3, 32, 32)
            assert low.dtype == true.dtype == torch.float32
            step = float(bin_width(low))
            seen.add(step)
            assert bool(((true - low).abs() < step / 2).all())
            # Whole codes and a half, of 8 bits or of 16.
            assert bool(((true * 65536) % 1 == 0.5).all() or ((true * 256) % 1 == 0.5).all())
    assert seen == {2.0**-3, 2.0**-4, 2.0**-8}


def test_an_item_depends_on_its_place_alone(pictures):
    first, again = (DepthDataset.split(pictures, ["val/*"], 24, (4,))[0] for _ in range(2))
    assert torch.equal(first[2, 3]["raw"], again[2, 3]["raw"])
    assert not torch.equal(first[2, 3]["raw"], first[3, 3]["raw"])
    other = DepthDataset.split(pictures, ["val/*"], 24, (4,), seed=1)[0]
    assert not torch.equal(first[2, 3]["raw"], other[2, 3]["raw"])


def test_validation_is_the_middle_as_it_is(pictures):
    _, val = DepthDataset.split(pictures, ["val/*"], 32, (3, 4, 4))
    item = val[0]
    codes = np.asarray(Image.open(pictures / "val/c.png"))[14:46, 24:56]
    assert np.array_equal((item["raw"] * 256).floor().numpy(), codes.transpose(2, 0, 1))
    assert float(bin_width(item["srgb"])) == 2.0**-4


def test_pictures_smaller_than_a_crop_are_mirrored(pictures):
    _, val = DepthDataset.split(pictures, ["val/*"], 100, (4,))
    raw = val[0]["raw"]
    assert raw.shape == (3, 100, 100)
    assert torch.equal(raw[:, 60], raw[:, 59])


def test_refusals(pictures, tmp_path):
    with pytest.raises(TrainingSetError, match="no picture"):
        DepthDataset.split(pictures, ["nothing/*"], 32, (4,))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageFileError, match=r"broken\.png"):
        DepthDataset.split(tmp_path, [], 32, (4,))
    for text in ("0", "4-6", "16", "four"):
        with pytest.raises(TrainingError, match=r"\[data\] bits"):
            DataConfig(bits=text)


@pytest.mark.parametrize("kind", ["varied", "largest_error"])
def test_training_makes_it_better(pictures, tmp_path, kind):
    config = TrainingConfig.from_dict(
        {
            "data": {"folder": str(pictures), "bits": "4", "val": "val/*", "crop": 32},
            "reconstructor": {"kind": "depth", "width": 6},
            "samples": {"kind": kind},
            "loss": {"distance": "decibels", "meta": 0.0},
            "optimizer": {"rate": 3e-3},
            "validation": {"every": 0, "fine_tune": 0},
            "run": {"output": str(tmp_path / "run"), "batch": 4, "steps": 40, "tensorboard": False},
        }
    )
    sampler, reconstructor = build(config)
    train, val = crops(config)
    figures = Trainer(sampler, reconstructor, config).fit(train, val)
    item = val[0]
    middle = -10 * torch.log10((item["srgb"] - item["raw"]).square().mean())
    # Untrained it is worse than the middles of the bins, which it adds to.
    assert figures["psnr"] > float(middle) + 0.02
    untrained = build(config)[1]
    none = torch.zeros(1, 1, 32, 32)
    inputs = untrained.inputs(item["srgb"][None], torch.zeros(1, 3, 32, 32), none)
    error = (untrained.network(inputs)[0].detach() - item["raw"]).square().mean()
    assert float(-10 * torch.log10(error)) < float(middle)

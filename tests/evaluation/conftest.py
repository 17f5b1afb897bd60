"""Scenes and small networks that benchmarks run on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from isp_meta import Pipeline, io
from isp_meta.networks import UNet
from isp_meta.reconstruct import UNetReconstructor
from isp_meta.stages import BlackLevel, Demosaic


@pytest.fixture
def folder(tmp_path, make_frame) -> Path:
    """Two scenes, linear 16-bit TIFF, the second in a folder of its own."""
    place = tmp_path / "scenes"
    (place / "more").mkdir(parents=True)
    for seed, name in enumerate(("a.tif", "more/b.tif")):
        raw = Pipeline([BlackLevel(), Demosaic()])(make_frame(48, 64, seed=seed)).raw
        (place / name).write_bytes(io.encode_tiff(raw, space=None))
        # Light that leaves part of the picture clipped after white balance.
        neutral = json.dumps({"illuminant_color_raw": [0.8, 1.0, 0.7]})
        (place / name).with_suffix(".json").write_text(neutral)
    return place


@pytest.fixture(scope="session")
def unet() -> UNetReconstructor:
    """A network of random weights; not to be changed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNetReconstructor(UNet(7, 3, width=2, head="sigmoid")).eval()

"""The page that compares with others shows what was recorded, and the comparison is fair."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def load(name):
    path = ROOT / "benchmarks" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


drawing, codecs = load("draw_rivals"), load("rival_codecs")


def point(method, bits, psnr, asked=None):
    edits = {"as shot": [psnr, 60 / psnr, 20 / psnr]}
    return {
        "method": method,
        "asked": asked,
        "bits": bits,
        "psnr": psnr,
        "psnr_sqrt": psnr,
        "edits": edits,
    }


def test_the_page_shows_the_record():
    found = drawing.records()
    assert {"hero6", "hero6-6000", "fusion_back", "fusion_back-6000"} <= set(found)
    page = drawing.PAGE.read_text(encoding="utf-8")
    assert f"{drawing.BEGIN}{drawing.section(found)}{drawing.END}" in page
    chart = drawing.CHART.read_text(encoding="utf-8")
    for name in found:
        assert f"{name}: PSNR" in chart


def test_every_point_that_is_ahead_of_us_is_told():
    known = ((0.1, 50), (0.4, 54), (1.6, 58))
    own = [point(drawing.OURS, bits, psnr, bits) for bits, psnr in known]
    others = [point("B", 0.2, 51.9), point("B", 0.8, 57.5), point("B", 1.65, 57)]
    record = {"points": [*own, *others, {"method": "B", "asked": 9, "bits": None}]}
    lines = drawing.curves(record)
    assert drawing.at(lines[drawing.OURS], 0.2, drawing.MEASURES[0]) == pytest.approx(52)
    ((method, told, by),) = drawing.lost(lines, drawing.MEASURES[0])
    assert (method, told["bits"]) == ("B", 0.8)
    assert by == pytest.approx(1.5)
    assert len(drawing.lost(lines, drawing.MEASURES[2])) == 1
    # A little beyond our last point nothing is passed over, far beyond nothing is claimed.
    lines["B"] = [point("B", 1.65, 59), point("B", 3.2, 70)]
    assert [told["bits"] for _, told, _ in drawing.lost(lines, drawing.MEASURES[0])] == [1.65]
    record["electrons"] = None
    assert "| `x` | PSNR, linear, dB | B | 0.80 (1.5) |" in drawing.losses({"x": record})


@pytest.mark.parametrize("name", codecs.CODECS)
def test_codecs_give_back_the_planes_in_the_bytes_that_were_asked_for(name):
    ramp = np.add.outer(np.arange(64), np.arange(96)).astype(np.float32) / 160
    noise = np.random.default_rng(0).normal(0, 0.02, ramp.shape)
    mosaic = (ramp + noise).clip(0, 1).astype(np.float32)
    values = codecs.planes(mosaic)
    assert np.array_equal(codecs.mosaic_of(values), mosaic)
    codec = codecs.CODECS[name]
    files = codecs.Fitted(codec, values)
    number = files.number(3000)
    data = codec.encode(values, number)
    assert 2600 < len(data) <= 3000 * (1 + codecs.NEAR)
    assert np.abs(codec.decode(data) - values).mean() < 0.02
    assert files.number(10) is None


def test_a_residual_is_of_its_guess():
    values = np.random.default_rng(0).random((64, 64), np.float32)
    codec = codecs.residual_codec((values - 0.01).clip(0, 1))
    assert np.abs(codec.decode(codec.encode(values, 0.02)) - values).max() < 0.01
    close, far = (codecs.residual_codec(guess) for guess in (values, np.full_like(values, 0.5)))
    assert len(close.encode(values, 1)) < 0.1 * len(far.encode(values, 1))

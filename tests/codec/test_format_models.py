"""Sections pARA, lRBF and CTRL of docs/format.md: the raw picture, as page and product say."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import golden
import numpy as np
import pytest
import second_reader
import torch
from second_reader.models import read_formula, read_local_rbf
from second_reader.network import read_safetensors, told_by_network

import isp_meta
from isp_meta import Frame, Samples
from isp_meta.baselines import ParametricReconstructor
from isp_meta.codec.local_rbf import pack_local_rbf
from isp_meta.codec.parametric import pack_parametric
from isp_meta.networks.shipped import FEATURES, shipped_features
from isp_meta.reconstruct import LocalRBFReconstructor

HEIGHT, WIDTH = 61, 83
NETWORK = Path(isp_meta.__file__).parent / "weights" / f"{FEATURES}.safetensors"


@pytest.fixture
def srgb(picture):
    return (picture(HEIGHT, WIDTH).sqrt() * 255).round() / 255


def as_array(srgb: torch.Tensor) -> np.ndarray:
    return srgb.permute(1, 2, 0).double().numpy()


def samples_of(raw: torch.Tensor, model, *, control: bool) -> Samples:
    index = torch.arange(3, HEIGHT * WIDTH, 61)
    value = raw.flatten(1)[:, index].T.contiguous()
    return Samples(index, value, HEIGHT, WIDTH, 8, model, control)


def test_second_reader_imports_nothing_of_the_product():
    for path in Path(second_reader.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom | ast.Import):
                assert "isp_meta" not in ast.unparse(node), path


def test_formula_of_the_page_is_that_of_the_product(srgb):
    model = golden.formula()
    raw = ParametricReconstructor(model)(Frame(srgb=srgb))
    found = read_formula(pack_parametric(model)).raw(as_array(srgb))
    assert raw.std() > 0.1
    assert np.abs(found - as_array(raw)).max() < 1e-5


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize(("kernel", "features"), [("rational", 33), ("exponential", 0)])
def test_systems_of_the_page_are_those_of_the_product(srgb, picture, kernel, features, control):
    # As many neighbors as there are samples: which of two is nearer never counts.
    model = golden.local_rbf(features)
    model = dataclasses.replace(model, kernel=kernel, neighbors=96).rounded()
    samples = samples_of(picture(HEIGHT, WIDTH, 1), model, control=control)
    assert len(samples) < 96
    raw = as_array(LocalRBFReconstructor()(Frame(srgb=srgb, samples=samples)))
    found = read_local_rbf(pack_local_rbf(model)).raw(
        as_array(srgb), samples.index.tolist(), samples.value.double().numpy(), control
    )
    assert raw.std() > 0.1
    assert np.abs(found - raw).mean() < 1e-5
    assert np.abs(found - raw).max() < 1e-3


def test_each_square_has_the_samples_nearest_to_it(srgb, picture):
    model = golden.local_rbf(33).rounded()
    samples = samples_of(picture(HEIGHT, WIDTH, 1), model, control=True)
    raw = as_array(LocalRBFReconstructor()(Frame(srgb=srgb, samples=samples)))
    found = read_local_rbf(pack_local_rbf(model)).raw(
        as_array(srgb), samples.index.tolist(), samples.value.double().numpy(), True
    )
    # Of two that are equally near either may be taken, where there is room for one.
    assert np.quantile(np.abs(found - raw), 0.8) < 1e-4


def test_network_of_the_page_is_that_of_the_product(srgb):
    told = as_array(shipped_features()(srgb[None])[0])
    found = told_by_network(read_safetensors(NETWORK), as_array(srgb))
    assert told.std() > 0.05
    assert np.abs(found - told).max() < 1e-4


def test_picture_with_a_network_is_that_of_the_product(srgb, picture):
    told = told_by_network(read_safetensors(NETWORK), as_array(srgb))
    model = golden.local_rbf(33 + told.shape[-1], FEATURES)
    model = dataclasses.replace(model, neighbors=96).rounded()
    samples = samples_of(picture(HEIGHT, WIDTH, 1), model, control=True)
    raw = as_array(LocalRBFReconstructor()(Frame(srgb=srgb, samples=samples)))
    found = read_local_rbf(pack_local_rbf(model)).raw(
        as_array(srgb), samples.index.tolist(), samples.value.double().numpy(), True, told
    )
    # The product computes the network in bfloat16.
    assert np.abs(found - raw).mean() < 1e-3

"""The options of a capture: what they refuse, and that nothing else declares them."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

from isp_meta import CaptureOptions, samplers
from isp_meta.capture.options import declared
from isp_meta.codec import Coding, Steps
from isp_meta.stages.jpeg import Subsampling

BY_NAME = {option.name: option for option in declared()}


@pytest.mark.parametrize("option", declared(), ids=lambda option: option.name)
def test_a_field_takes_what_it_declares_and_nothing_else(option):
    good = [*option.choices] or [option.kind(max(option.low, 1))]
    if option.optional:
        good.append(None)
    for value in good:
        assert getattr(CaptureOptions(**{option.name: value}), option.name) == value
    bad = ["nothing", b"", (), object()]
    if option.kind in (int, float):
        bad += [option.low - 1, option.high + 1, float("nan"), float("inf"), True, -(10**400)]
    for value in bad:
        with pytest.raises(ValueError, match=f"^{option.name} must be"):
            CaptureOptions(**{option.name: value})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"quality": 0}, "quality must be 1 to 100, not 0"),
        ({"quality": 90.0}, "quality must be 1 to 100, not 90.0"),
        ({"effort": 3}, "effort must be 0 to 2, not 3"),
        ({"coding": "zip"}, "coding must be predicted, range or packed, not 'zip'"),
        ({"depth": 12}, "depth must be 8 or 16, not 12"),
        ({"lossless": 1}, "lossless must be False, True or alone, not 1"),
        ({"psnr": -1}, "psnr must be at least 0, not -1"),
        ({"bpp": 10**400}, "bpp must be at least 0, not 10"),
        ({"enhancement": 1e-5}, "step must be 0.000488281 to 1, not 1e-05"),
        ({"bpp": 0}, "one of bpp, size and psnr, above 0"),
        ({"bpp": 1, "size": 1000}, "one of bpp, size and psnr"),
        ({"bpp": 1, "cell": 8}, "leave those out"),
        ({"psnr": 40, "levels": 320}, "leave those out"),
    ],
)
def test_what_is_wrong_is_said(options, text):
    with pytest.raises(ValueError, match=text):
        CaptureOptions(**options)


def test_there_and_back_through_json(changed_options):
    assert changed_options.keys() == BY_NAME.keys()
    assert len({*changed_options.values(), CaptureOptions()}) == len(BY_NAME) + 1
    for options in changed_options.values():
        text = json.dumps(dataclasses.asdict(options))
        assert CaptureOptions(**json.loads(text)) == options
        assert pickle.loads(pickle.dumps(options)) == options


def test_whole_numbers_are_numbers():
    assert CaptureOptions(bpp=1) == CaptureOptions(bpp=1.0)
    assert json.dumps(CaptureOptions(bpp=1).bpp) == "1.0"


def test_words_are_those_of_the_library():
    assert BY_NAME["coding"].choices == get_args(Coding)
    assert BY_NAME["subsampling"].choices == get_args(Subsampling)


def test_every_field_is_declared():
    assert [*get_type_hints(CaptureOptions)] == [*BY_NAME]
    for option in declared():
        assert option.help.endswith(".")
        assert len(option.help) < 90


@pytest.mark.parametrize(
    ("options", "sampler"),
    [
        ({}, samplers.UniformSampler(8)),
        ({"effort": 0}, samplers.SuperpixelSampler(8)),
        ({"effort": 0, "sampler": "uniform", "cell": 5}, samplers.UniformSampler(5)),
        ({"sampler": "superpixel"}, samplers.SuperpixelSampler(8)),
        ({"sampler": "random", "cell": 16}, samplers.RandomSampler(0, 1 / 256)),
    ],
)
def test_samplers(options, sampler):
    assert repr(CaptureOptions(**options).make_sampler()) == repr(sampler)


def test_a_rate_makes_samplers_of_the_kind_that_is_named():
    assert CaptureOptions().rate is None
    rate = CaptureOptions(size=1000, sampler="superpixel").rate
    assert (rate.bpp, rate.size, rate.psnr) == (None, 1000, None)
    assert repr(rate.sampler(12)) == repr(samplers.SuperpixelSampler(12))


def test_steps():
    assert CaptureOptions().steps is None
    assert CaptureOptions(levels=100).steps == Steps(100)


def test_help_need_not_wait_for_pytorch():
    script = (
        "import sys\n"
        "from isp_meta import CaptureOptions\n"
        "CaptureOptions(quality=90)\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

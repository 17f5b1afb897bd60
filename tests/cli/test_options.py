"""What the commands offer is what the library declares."""

from __future__ import annotations

import pytest

from isp_meta import CaptureOptions
from isp_meta.batch.run import Engine
from isp_meta.bit_depth.files import Method
from isp_meta.capture.options import declared
from isp_meta.cli import choices
from isp_meta.cli.commands import load
from isp_meta.io import Compression
from isp_meta.recovery.write import Format
from isp_meta.stages.color_space import DisplaySpace
from isp_meta.stages.demosaic import DemosaicMethod

IN_PYTHON_ALONE = {"cell", "coding", "levels", "subsampling"}
OFFERED = [option for option in declared() if option.name not in IN_PYTHON_ALONE]


def flags(command):
    return {flag: made for made in command.params for flag in made.opts if flag.startswith("--")}


def flag_of(name):
    return f"--{name.replace('_', '-')}"


@pytest.mark.parametrize("option", OFFERED, ids=lambda option: option.name)
def test_embed_offers_each_option_with_its_help(option):
    made = flags(load("embed"))[flag_of(option.name)]
    assert (made.help, made.default) == (option.help, option.default)


def test_batch_embed_offers_the_same():
    whole, batch = flags(load("embed")), flags(load("batch").commands["embed"])
    names = {option.name for option in OFFERED}
    assert {name for name in names if flag_of(name) in batch} == names - {"force"}
    for name in names - {"force"}:
        assert batch[flag_of(name)].help == whole[flag_of(name)].help


def test_what_only_programs_set_has_no_flag():
    known = flags(load("embed"))
    assert not [name for name in IN_PYTHON_ALONE if flag_of(name) in known]


def test_values_arrive_as_they_are_declared(run, raw, monkeypatch):
    seen = []

    def embed(_raw, _path, options, **_more):
        seen.append(options)
        raise ValueError("seen")

    monkeypatch.setattr("isp_meta.capture.embed.embed", embed)
    call = "-o a.tif --size 1.5KB --quality 80 --depth 16 --carrier tag --lossless --gps"
    assert run("embed", raw).code == run("embed", raw, *call.split()).code == 1
    assert seen == [
        CaptureOptions(),
        CaptureOptions(
            size=1500,
            quality=80,
            depth=16,
            carrier="tag",
            lossless=True,
            gps=True,
        ),
    ]


def test_words_are_those_of_the_library():
    library = {
        **{"Compression": Compression, "DemosaicMethod": DemosaicMethod},
        **{"DisplaySpace": DisplaySpace},
        **{"Engine": Engine, "Format": Format, "Method": Method},
    }
    assert {name: getattr(choices, name) for name in choices.__all__} == library

from __future__ import annotations

import json

import numpy as np
import rawpy


def test_there_and_back_to_the_bit(run, raw):
    assert run("embed", raw, "--lossless").code == 0
    jpeg, dng = raw.with_suffix(".jpg"), raw.with_name("again.dng")
    result = run("recover", jpeg, "-o", dng)
    assert (result.code, result.out) == (0, f"{dng}: 256x192, dng, exact\n")
    with rawpy.imread(str(dng)) as found, rawpy.imread(str(raw)) as true:
        assert np.array_equal(found.raw_image_visible, true.raw_image_visible)
    values = json.loads(run("inspect", jpeg, "--json").out)
    assert values["mosaic"] == "guided by the picture"
    assert 0 < values["mosaic_bytes"] < values["bytes"]
    linear = run("recover", jpeg, "--linear", "-o", raw.with_name("linear.dng"))
    assert linear.out.endswith("dng, exact\n")
    assert run("compare", raw, jpeg).code == 0


def test_without_it_nothing_is_exact(run, raw):
    run("embed", raw)
    jpeg = raw.with_suffix(".jpg")
    assert "exact" not in run("recover", jpeg).out
    values = json.loads(run("inspect", jpeg, "--json").out)
    assert (values["mosaic"], values["mosaic_bytes"]) == ("none", 0)

import math
import statistics

import pytest

from isp_meta.evaluation import Results, tables
from isp_meta.evaluation.tables import mean

SCENES = ["a.tif", "b.tif"]
METHODS = {
    "uniform+sam": ("uniform", "sam", None, False, None),
    "one:none+unet": ("none", "unet", "one", True, None),
    "one:learned+unet": ("learned", "unet", "one", True, "both"),
    "two:free-form+unet": ("free-form", "unet", "two", True, "raw"),
}


def settings(**more):
    names = ("sampling", "reconstruction", "weights", "network", "sampler_inputs")
    return {
        **{"scenes": SCENES, "note": "a note", "shrink": 1, "bits": 14, "threads": 1},
        "methods": {name: dict(zip(names, about, strict=True)) for name, about in METHODS.items()},
        "weights": {"one": {"meta_loss": True}, "two": {"meta_loss": False}},
        "versions": {"isp_meta": "1", "torch": "2"},
        **more,
    }


def record(scene, method, psnr, fine_tune=0, **more):
    return {
        **{"scene": scene, "rendering": "minimal", "input": "8bit", "method": method},
        **{"fine_tune": fine_tune, "psnr": psnr, "psnr_unclipped": psnr + 1, "ssim": 0.9},
        **{"bits_per_pixel": 0.5, "bits_per_pixel_total": 0.6, "seconds_capture": 0.1},
        **{"seconds_fine_tuning": 0.0, "seconds_reconstruction": 2.0, **more},
    }


def run(shift=0.0):
    results = Results(settings())
    for scene, psnr in zip(SCENES, (40.0, 43.0), strict=True):
        for method in METHODS:
            results.add(record(scene, method, psnr + shift))
        for method in ("one:learned+unet", "two:free-form+unet"):
            results.add(record(scene, method, psnr + shift + 1, 10))
    return results


def rows(text, title):
    """Cells of the table under a heading."""
    (part,) = (part for part in text.split("## ")[1:] if part.startswith(title))
    return [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")][2:]


def test_mean_and_spread_of_one_run_are_over_scenes():
    found = mean([[{"psnr": 40.0}, {"psnr": 43.0}, {"psnr": None}, {}]], "psnr")
    assert found == (41.5, pytest.approx(statistics.stdev([40, 43])), 2)
    assert mean([[{"psnr": 40.0}]], "psnr") == (40.0, None, 1)
    assert mean([[]], "psnr") == (None, None, 0)


def test_mean_and_spread_of_several_runs_are_over_runs():
    runs = [[{"psnr": 40.0}, {"psnr": 50.0}], [{"psnr": 42.0}, {"psnr": 52.0}]]
    assert mean(runs, "psnr") == (46.0, pytest.approx(math.sqrt(2)), 2)


def test_table_of_methods():
    text = tables([run()])
    assert "a note" in text
    found = rows(text, "minimal: methods")
    assert [row[1] for row in found] == [
        *METHODS,
        *("one:learned+unet, tuned 10", "two:free-form+unet, tuned 10"),
    ]
    assert found[0][:6] == [
        *("8bit", "uniform+sam", "0.500 (0.600)"),
        *("41.50 ± 2.12", "42.50 ± 2.12", "0.9000 ± 0.0000"),
    ]
    assert found[0][6:] == ["0.10 s", "", "2.00 s"]


def test_table_of_sampling_without_and_with_fine_tuning():
    found = rows(tables([run()]), "minimal: sampling")
    assert found == [
        ["8bit", "none", "unet", "one", "41.50 ± 2.12 / 0.9000 ± 0.0000", "– / –"],
        *(
            [
                *("8bit", sampling, "unet", weights),
                *(f"{psnr} ± 2.12 / 0.9000 ± 0.0000" for psnr in ("41.50", "42.50")),
            ]
            for sampling, weights in (("learned", "one"), ("free-form", "two"))
        ),
    ]


def test_table_of_learned_samplers():
    found = rows(tables([run()]), "minimal: learned")
    assert [row[1:6] for row in found] == [
        ["one:learned+unet", "both", "superpixels", "yes", "0"],
        ["one:learned+unet", "both", "superpixels", "yes", "10"],
        ["two:free-form+unet", "raw", "free-form", "no", "0"],
        ["two:free-form+unet", "raw", "free-form", "no", "10"],
    ]


def test_several_runs_give_mean_and_spread_over_runs():
    text = tables([run(), run(1.0), run(2.0)])
    assert "over 3 runs" in text
    assert rows(text, "minimal: methods")[0][3] == "42.50 ± 1.00"


def test_a_mean_over_fewer_scenes_says_so_and_failures_are_listed():
    results = run()
    results.records = [r for r in results.records if r["scene"] == "a.tif"]
    results.add(record("b.tif", "uniform+sam", 50.0))
    results.add({"scene": "b.tif", "rendering": "minimal", "error": "not\nenough"})
    text = tables([results])
    found = rows(text, "minimal: methods")
    assert found[0][1] == "uniform+sam"
    assert found[1][1] == "one:none+unet (1 of 2 scenes)"
    assert "- b.tif, minimal: not enough" in text


def test_tables_without_networks_are_left_out():
    results = run()
    results.records = [r for r in results.records if r["method"] == "uniform+sam"]
    text = tables([results])
    assert text.count("## ") == 1


def test_no_results_make_no_table():
    with pytest.raises(ValueError, match="no results"):
        tables([])
    assert "## " not in tables([Results(settings())])

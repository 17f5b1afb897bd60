import json
import math

import pytest

from isp_meta.errors import OutputError, ResultsError
from isp_meta.evaluation import Results

SETTINGS = {
    **{"scenes": ["a.tif"], "shrink": 1, "cell": 8, "bits": 14, "seed": 0},
    **{"weights": {"main": {"sha256": "1"}}, "renderings": {"minimal": "Pipeline()"}},
}


def record(scene="a.tif", method="uniform+sam", **figures):
    where = {"scene": scene, "rendering": "minimal", "input": "8bit", "method": method}
    return {**where, "fine_tune": 0, **figures}


def test_what_is_written_is_read_again(tmp_path):
    results = Results(dict(SETTINGS))
    results.add(record(psnr=50.5, psnr_unclipped=math.nan, ssim=1.0))
    results.add(record("ä.tif", psnr=math.inf))
    results.write(tmp_path / "r.json")
    again = Results.read(tmp_path / "r.json")
    assert (again.settings, again.records) == (results.settings, results.records)
    # JSON has neither.
    assert again.records[0]["psnr_unclipped"] is again.records[1]["psnr"] is None
    json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)


def test_a_record_replaces_the_one_of_its_key():
    results = Results()
    for psnr in (40.0, 41.0):
        results.add(record(psnr=psnr))
    results.add(record(method="random+sam", psnr=39.0))
    assert [r["psnr"] for r in results.records] == [41.0, 39.0]


def test_what_failed_is_not_done_and_can_be_forgotten():
    results = Results()
    results.add(record(psnr=40.0))
    results.add(record(method="random+sam", error="broken"))
    results.add({"scene": "b.tif", "error": "broken"})
    assert results.done() == {("a.tif", "minimal", "8bit", "uniform+sam", 0)}
    results.forget_errors("a.tif")
    assert [r["scene"] for r in results.records] == ["a.tif", "b.tif"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format": "other"}'),
        b'{"format": "isp_meta benchmark 1", "settings": {}}',
        b'{"format": "isp_meta benchmark 1", "settings": {}, "records": [{}]}',
        b'{"format": "isp_meta benchmark 1", "settings": {}, "records": [1]}',
        b'{"format": "isp_meta benchmark 1", "settings": 5, "records": []}',
    ],
)
def test_other_files_are_refused_by_name(content, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=r"r\.json"):
        Results.read(path)


def test_a_missing_file_and_a_missing_folder_are_named(tmp_path):
    with pytest.raises(ResultsError, match=r"none\.json"):
        Results.read(tmp_path / "none.json")
    with pytest.raises(OutputError, match=r"none/r\.json"):
        Results().write(tmp_path / "none" / "r.json")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cell", 16, "cell: 8, not 16"),
        ("seed", 1, "seed: 0, not 1"),
        ("scenes", ["b.tif"], "scenes"),
        ("weights", {"main": {"sha256": "2"}}, "weights: main"),
        ("renderings", {"minimal": "Pipeline([1])"}, "renderings: minimal"),
    ],
)
def test_results_of_other_settings_do_not_join(name, value, text):
    results = Results(dict(SETTINGS))
    with pytest.raises(ResultsError, match=f"^old: was measured with other {text}"):
        results.check_same({**SETTINGS, name: value}, "old")
    results.check_same({**SETTINGS, name: value}, "old", but=(name,))


def test_further_weights_and_renderings_may_join():
    more = {"weights": {"other": {}}, "renderings": {"camera": "Pipeline()"}}
    Results(dict(SETTINGS)).check_same({**SETTINGS, **more}, "old")

import json

from isp_meta import Pipeline, presets, stages


def test_lists_what_is_installed(run):
    result = run("stages")
    assert (result.code, result.lines) == (0, [])
    heads = {line.split()[0]: line for line in result.out.splitlines() if line[0] != " "}
    assert heads["WhiteBalance"].split() == [
        "WhiteBalance",
        "raw",
        "->",
        "rgb",
        "isp-meta",
        "0.1.0",
    ]
    assert set(heads) <= set(stages.__all__)
    assert "    bits = 8" in result.out
    assert "    stops = None  -16 to 16 stops" in result.out
    assert "    table required" in result.out


def test_shows_one_in_full(run):
    result = run("stages", "Gamma")
    assert result.code == 0
    assert stages.Gamma.__doc__.splitlines()[0] in result.out
    assert len([line for line in result.out.splitlines() if "isp-meta" in line]) == 1
    assert run("stages", "Gama").failed(1, "there is no stage 'Gama'", "'Gamma'")


def test_as_json(run):
    described = {item["name"]: item for item in json.loads(run("stages", "--json").out)}
    gain = next(p for p in described["Exposure"]["parameters"] if p["name"] == "stops")
    assert gain == {"name": "stops", "default": None, "required": False, "range": "-16 to 16 stops"}
    assert described["Gamma"]["pointwise"] is True
    assert described["Demosaic"]["needs"] == ["mosaic"]


def test_prints_a_preset_to_start_from(run):
    text = run("stages", "--toml", "minimal").out
    assert text == presets.minimal().to_toml()
    assert len(Pipeline.from_toml(text)) == len(presets.minimal())
    assert run("stages", "--toml", "none").failed(1, "there is no preset 'none'")

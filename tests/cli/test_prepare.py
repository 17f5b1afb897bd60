import imagecodecs
import numpy as np
import pytest

from isp_meta.training import CropDataset, Manifest

SMALL = ("--renderings", 2, "--crop", 16, "--crops", 3, "--workers", 1)


@pytest.fixture
def pictures(tmp_path):
    """A folder of three linear pictures and one that is damaged."""
    folder = tmp_path / "day"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 30000, (32, 48, 3)).astype(np.uint16)
        (folder / f"{number}.png").write_bytes(imagecodecs.png_encode(pixels))
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


def test_a_set_is_made_and_told_of(run, pictures, tmp_path):
    out = tmp_path / "set"
    result = run("prepare", pictures, "-o", out, *SMALL, "--val", "1.png")
    assert result.code == 0
    assert result.out.startswith(f"{out}: 2 + 1 scenes, 12 + 6 crops to train + validate, 0 MB, ")
    (line,) = result.lines
    assert line.startswith("skipped: day/broken.png: ")
    assert len(CropDataset(out, crop=16)) == 12
    assert len(CropDataset(out, "val", crop=16)) == 6


def test_every_option_arrives(run, pictures, tmp_path):
    (tmp_path / "own.toml").write_text(
        '[[stage]]\nname = "WhiteBalance"\n[[stage]]\nname = "Gamma"\n'
    )
    options = [
        *("--share-val", 0.5, "--input", "8bit", "--input", "jpeg", "--shrink", 2, "--seed", 7),
        *("--preset", "karaimer-brown", "--preset", tmp_path / "own.toml", "--exposure", -2, 0.5),
        *("--quality", 75, 98, "--noise", 1000, 20000, "--camera", pictures / "1.png"),
    ]
    result = run("prepare", pictures, pictures / "0.png", "-o", tmp_path / "set", *SMALL, *options)
    assert result.code == 0, result.lines
    settings = dict(Manifest.read(tmp_path / "set").settings)
    first, own = settings.pop("presets")
    assert (first, own.count("[[stage]]")) == ("karaimer-brown", 2)
    assert settings == {
        **{"renderings": 2, "crop": 16, "crops": 3, "inputs": ["8bit", "jpeg"], "shrink": 2},
        **{"exposure": [-2, 0.5], "seed": 7, "share_val": 0.5, "val": []},
        **{"quality": [75, 98], "noise": [1000, 20000], "camera": "1.png"},
    }


def test_a_wrong_call_is_one_line_and_leaves_nothing(run, pictures, tmp_path, names):
    out = tmp_path / "set"
    before = names()
    assert run("prepare", tmp_path / "none", "-o", out).failed(1, "none", "No such file")
    assert run("prepare", pictures, "-o", out, *SMALL, "--val", "9").failed(1, "'9'")
    assert run("prepare", pictures, "-o", out, *SMALL, "--input", "gif").failed(1, "16bit, 8bit")
    assert run("prepare", pictures, "-o", out, *SMALL, "--preset", "nikon").failed(1, "'nikon'")
    assert run("prepare", pictures, "-o", out, *SMALL, "--exposure", 1, -1).failed(1, "exposure")
    assert names() == before


def test_nothing_is_replaced_unasked(run, pictures, tmp_path, names):
    out = tmp_path / "set"
    assert run("prepare", pictures, "-o", out, *SMALL).code == 0
    before = (out / "manifest.json").read_bytes()
    assert run("prepare", pictures, "-o", out, *SMALL, "--seed", 1).failed(1, "--overwrite")
    assert (out / "manifest.json").read_bytes() == before
    assert run("prepare", pictures, "-o", out, *SMALL, "--seed", 1, "--overwrite").code == 0
    assert (out / "manifest.json").read_bytes() != before
    assert run("prepare", pictures, "-o", pictures, "--overwrite").failed(1, "no training set")
    assert names() == ["day", "set"]


CONFIG = """
[prepare]
pictures = ["{pictures}"]
val = ["1.png"]
renderings = 2
crop = 16
crops = 3
presets = ["minimal"]

[data]
folder = "{folder}"
"""


def test_a_config_says_of_what_its_set_is_made(run, pictures, tmp_path):
    config, folder = tmp_path / "config.toml", tmp_path / "own"
    config.write_text(CONFIG.format(pictures=pictures, folder=folder))
    result = run("prepare", config, "--workers", 1)
    assert result.out.startswith(f"{folder}: 2 + 1 scenes, 12 + 6 crops")
    other = run("prepare", pictures, "-o", tmp_path / "set", *SMALL, "--val", "1.png")
    assert other.code == 0
    made = Manifest.read(folder).settings
    assert made["presets"] == ["minimal"]
    assert {**made, "presets": ["random"]} == Manifest.read(tmp_path / "set").settings
    assert run("prepare", config, "--workers", 1).failed(1, "own", "--overwrite")
    assert run("prepare", config, "-o", tmp_path / "third", "--workers", 1).code == 0
    assert run("prepare", config, "--crop", 8).failed(2, "--crop", "config.toml")
    config.write_text("[data]\nfolder = 'x'\n")
    assert run("prepare", config).failed(1, "config.toml", "[prepare] pictures")
    assert run("prepare", pictures).failed(2, "-o")

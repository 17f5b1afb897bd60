import hashlib
import importlib
import json
import resource
import signal
import subprocess
import sys
import time

import imagecodecs
import numpy as np
import pytest
import torch

from isp_meta import Pipeline, presets
from isp_meta.errors import ImageFileError, OutputError, PipelineFileError, TrainingSetError
from isp_meta.scenes import cameras_of, read_scene, render_scene
from isp_meta.stages import ColorMatrix, Gamma, WhiteBalance
from isp_meta.training import CropDataset, Manifest, prepare

SMALL = {"renderings": 2, "crop": 16, "crops": 4}
# The package has a function of that name.
making = importlib.import_module("isp_meta.training.prepare")


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def sources(folder):
    return {row["name"]: row for row in Manifest.read(folder).sources}


# --- what is in a set


def test_a_set_holds_what_its_manifest_says(pictures, tmp_path):
    made = prepare(pictures, tmp_path / "set", **SMALL, share_val=0.25)
    assert (made.scenes, made.skipped) == ({"train": 3, "val": 1}, {})
    assert made.crops == {"train": 24, "val": 8}
    manifest = Manifest.read(tmp_path / "set")
    assert manifest.settings["renderings"] == 2
    assert set(files(tmp_path / "set")) == {"manifest.json", *(s.file for s in manifest.shards)}
    assert made.size == sum(shard.size for shard in manifest.shards)
    for row in manifest.sources:
        assert set(row) == {"name", "sha256", "size", "shard", "renderings"}
        assert row["size"] == [40, 56]
        assert len(row["renderings"]) == 2
    for shard in manifest.shards:
        data = (tmp_path / "set" / shard.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard.sha256
    for split in ("train", "val"):
        assert len(CropDataset(tmp_path / "set", split, crop=16)) == made.crops[split]


def test_raw_is_the_scene_and_srgb_its_rendering(make_scene, tmp_path):
    make_scene(tmp_path / "a" / "1.png", 16, 16)
    prepare(
        *(tmp_path / "a", tmp_path / "set"),
        **{"renderings": 16, "crop": 16, "inputs": ["16bit"], "exposure": (0, 0)},
        preset="karaimer-brown",
    )
    scene = read_scene(tmp_path / "a" / "1.png")
    pipeline = presets.karaimer_brown()
    shown = render_scene(scene, pipeline[:-1]).srgb
    assert type(pipeline[-1]).__name__ == "Quantize"
    crops = CropDataset(tmp_path / "set", crop=16, augment=False)
    turns = set()
    for number, row in enumerate(sources(tmp_path / "set")["a/1.png"]["renderings"]):
        assert row == {
            **{"preset": "karaimer_brown", "exposure": 0.0, "turn": row["turn"]},
            "input": "16bit",
        }
        turns.add(row["turn"])
        for key, whole in (("raw", scene.raw), ("srgb", shown)):
            turned = whole.mT if row["turn"] & 4 else whole
            turned = turned.flip([side for bit, side in ((1, 2), (2, 1)) if row["turn"] & bit])
            assert torch.allclose(crops[number][key], turned, atol=0.51 / 65535), key
    assert len(turns) > 4


@pytest.mark.parametrize(("kind", "levels"), [("16bit", None), ("8bit", 255), ("jpeg", 255)])
def test_kinds_of_input(pictures, tmp_path, kind, levels):
    prepare(pictures, tmp_path / "set", **SMALL, inputs=[kind], preset="minimal", exposure=(0, 0))
    crops = CropDataset(tmp_path / "set", crop=16, augment=False)
    srgb = torch.stack([crops[i]["srgb"] for i in range(len(crops))])
    whole = (srgb * 255 - (srgb * 255).round()).abs().max()
    assert whole < 1e-4 if levels else whole > 0.4
    rows = [row for source in sources(tmp_path / "set").values() for row in source["renderings"]]
    assert {row["input"] for row in rows} == {kind}
    for row in rows:
        assert ("quality" in row, "subsampling" in row) == (kind == "jpeg",) * 2
        if kind == "jpeg":
            assert 80 <= row["quality"] <= 100
            assert row["subsampling"] in ("4:4:4", "4:2:0")


def test_jpeg_differs_from_8_bits_as_jpeg_does(make_scene, tmp_path):
    make_scene(tmp_path / "a" / "1.png", 32, 32)
    pictures = {}
    for kind in ("8bit", "jpeg"):
        prepare(
            *(tmp_path / "a", tmp_path / kind),
            **{"renderings": 1, "crop": 32, "inputs": [kind]},
            preset="minimal",
        )
        pictures[kind] = CropDataset(tmp_path / kind, crop=32, augment=False)[0]
    assert torch.equal(pictures["8bit"]["raw"], pictures["jpeg"]["raw"])
    error = (pictures["8bit"]["srgb"] - pictures["jpeg"]["srgb"]).abs().mean()
    assert 1e-3 < error < 0.05


def test_a_pipeline_from_a_file(pictures, tmp_path):
    pipeline = Pipeline([WhiteBalance(), ColorMatrix(), Gamma()])
    path = tmp_path / "own.toml"
    path.write_text(pipeline.to_toml())
    prepare(pictures, tmp_path / "set", **SMALL, preset=[path, "minimal"])
    rows = [row for source in sources(tmp_path / "set").values() for row in source["renderings"]]
    assert {row["preset"] for row in rows} == {"pipeline", "minimal"}
    assert Manifest.read(tmp_path / "set").settings["presets"] == [pipeline.to_toml(), "minimal"]


def test_qualities_are_those_asked_for(pictures, tmp_path):
    settings = {"renderings": 12, "crop": 16, "crops": 1, "inputs": ["jpeg"], "preset": "minimal"}
    prepare(pictures, tmp_path / "set", **settings, quality=(75, 77))
    rows = [row for source in sources(tmp_path / "set").values() for row in source["renderings"]]
    assert {row["quality"] for row in rows} == {75, 76, 77}
    for bad in ((0, 90), (90, 101), (90, 80)):
        with pytest.raises(ValueError, match="quality must rise within 1 to 100"):
            prepare(pictures, tmp_path / "none", quality=bad)


def test_half_of_the_renderings_have_a_sensors_noise(make_scene, tmp_path):
    for number in range(2):
        make_scene(tmp_path / "a" / f"{number}.png", 48, 48, seed=number)
    settings = {"renderings": 30, "crop": 48, "inputs": ["16bit"], "preset": "minimal"}
    prepare(tmp_path / "a", tmp_path / "set", **settings, exposure=(0, 0), noise=(1000, 20000))
    crops, at, noisy = CropDataset(tmp_path / "set", crop=48, augment=False), 0, []
    for name, row in sources(tmp_path / "set").items():
        raw = read_scene(tmp_path / name).raw
        for rendering in row["renderings"]:
            turned = raw.mT if rendering["turn"] & 4 else raw
            turned = turned.flip([d for bit, d in ((1, 2), (2, 1)) if rendering["turn"] & bit])
            difference, at = crops[at]["raw"] - turned, at + 1
            if "electrons" not in rendering:
                assert float(difference.abs().max()) < 1e-5
                continue
            noisy.append(rendering["electrons"])
            variance = float((difference.square() / turned.clamp(min=0.02)).mean())
            assert variance * noisy[-1] == pytest.approx(1, abs=0.2)
    assert 20 < len(noisy) < 40
    assert 1000 <= min(noisy) < 2000
    assert 10000 < max(noisy) <= 20000


def test_srgb_pictures_become_raw_of_one_camera(make_scene, pictures, tmp_path):
    folder = tmp_path / "srgb"
    for number in range(6):
        path = make_scene(folder / f"{number}.png", 32, 32, seed=number)
        pixels = imagecodecs.png_decode(path.read_bytes()) >> 8
        path.write_bytes(imagecodecs.png_encode(pixels.astype(np.uint8)))
    neutrals = ([0.4, 1.0, 0.5], [0.6, 1.0, 0.3])
    for number, color in enumerate(neutrals):
        path = make_scene(tmp_path / "linear" / f"{number}.png")
        path.with_suffix(".json").write_text(json.dumps({"illuminant_color_raw": color}))
    camera = {"camera": tmp_path / "linear"}
    settings = {"renderings": 1, "crop": 16, "preset": "minimal", **camera}
    prepare(folder, tmp_path / "set", **settings)
    assert Manifest.read(tmp_path / "set").settings["camera"] == "linear"
    prepare(folder, tmp_path / "again", **settings)
    assert files(tmp_path / "set") == files(tmp_path / "again")
    cameras = [scene.camera for scene in _scenes_of(folder, tmp_path / "linear")]
    red, blue = ([camera.as_shot_neutral[channel] for camera in cameras] for channel in (0, 2))
    assert 0.4 <= min(red) < max(red) <= 0.6
    assert 0.3 <= min(blue) < max(blue) <= 0.5
    with pytest.raises(ImageFileError, match="sRGB pictures alone"):
        prepare(folder, tmp_path / "none", **{**settings, "camera": folder})


def _scenes_of(folder, camera):
    names = making._named([folder])
    scenes, rows = making._scenes(names, set(), cameras_of(camera), folder, 0, lambda _text: None)
    assert not rows
    return scenes


# --- exposure


def test_exposure_stays_what_a_sensor_could_have_seen(make_scene, tmp_path):
    for name, scale in {"dark": 0.05, "bright": 0.9, "burnt": 1.5}.items():
        make_scene(tmp_path / "a" / f"{name}.png", scale=scale)
    settings = {"renderings": 12, "crop": 16, "exposure": (-3, 3)}
    prepare(tmp_path / "a", tmp_path / "set", **settings, preset="minimal")
    found = {
        name: [rendering["exposure"] for rendering in row["renderings"]]
        for name, row in sources(tmp_path / "set").items()
    }
    assert -3 <= min(found["a/dark.png"]) < -1.5 < 1.5 < max(found["a/dark.png"]) <= 3
    assert -3 <= min(found["a/bright.png"]) < -1 < max(found["a/bright.png"]) < 1
    assert set(found["a/burnt.png"]) == {0.0}


def test_crops_cover_a_picture_and_avoid_what_is_empty(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint16)
    pixels[:, :32] = np.random.default_rng(0).integers(0, 30000, (64, 32, 3))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "half.png").write_bytes(imagecodecs.png_encode(pixels))
    prepare(tmp_path / "a", tmp_path / "set", renderings=4, crop=16, preset="minimal")
    crops = CropDataset(tmp_path / "set", crop=16, augment=False)
    assert len(crops) == 4 * 16
    empty = sum(bool(crops[i]["raw"].max() < 0.01) for i in range(len(crops)))
    assert empty <= 4
    distinct = {crops[i]["raw"].numpy().tobytes() for i in range(len(crops))}
    assert len(distinct) >= len(crops) - empty


# --- chance


def test_a_set_does_not_depend_on_the_number_of_workers(pictures, crops_folder, tmp_path):
    settings = {"renderings": 3, "crop": 16, "crops": 5, "val": ["3.png"]}
    prepare(pictures, tmp_path / "set", **settings, workers=2)
    assert files(tmp_path / "set") == files(crops_folder)


def test_a_scene_does_not_depend_on_its_neighbors(pictures, crops_folder, tmp_path, make_scene):
    folder = tmp_path / "day"
    for number in (0, 2):
        make_scene(folder / f"{number}.png", seed=number)
    prepare(folder, tmp_path / "set", renderings=3, crop=16, crops=5)
    before = {shard.sha256 for shard in Manifest.read(crops_folder).shards}
    assert {shard.sha256 for shard in Manifest.read(tmp_path / "set").shards} < before


def test_the_seed_decides(pictures, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        prepare(pictures, tmp_path / name, **SMALL, seed=seed, share_val=0.5)
    hashes = [{s.sha256 for s in Manifest.read(tmp_path / name).shards} for name in "ab"]
    assert not hashes[0] & hashes[1]


# --- splits


@pytest.mark.parametrize("wanted", [["1"], ["1.png"], ["day/1.png"], ["[1]*"], ["*/1.*"]])
def test_named_scenes_are_held_out(pictures, tmp_path, wanted):
    prepare(pictures, tmp_path / "set", **SMALL, val=wanted)
    split = {
        name: row["shard"].partition("-")[0] for name, row in sources(tmp_path / "set").items()
    }
    assert split == {
        **{f"day/{number}.png": "train" for number in (0, 2, 3)},
        "day/1.png": "val",
    }


def test_a_share_is_held_out_by_scene(pictures, tmp_path):
    made = prepare(pictures, tmp_path / "set", **SMALL, share_val=0.5)
    assert made.scenes == {"train": 2, "val": 2}
    for shard in Manifest.read(tmp_path / "set").shards:
        assert shard.file.startswith(shard.split)
    most = prepare(pictures, tmp_path / "most", **SMALL, share_val=0.99)
    assert most.scenes == {"train": 1, "val": 3}


def test_names_that_fit_nothing_are_refused(pictures, tmp_path):
    with pytest.raises(TrainingSetError, match=r"'9\.png'"):
        prepare(pictures, tmp_path / "set", **SMALL, val=["1", "9.png"])
    with pytest.raises(TrainingSetError, match="no picture is left to train on"):
        prepare(pictures, tmp_path / "set", **SMALL, val=["*"])
    with pytest.raises(ValueError, match="not both"):
        prepare(pictures, tmp_path / "set", **SMALL, val=["1"], share_val=0.5)
    assert list(tmp_path.iterdir()) == []


# --- pictures that cannot be used


def test_pictures_that_cannot_be_used_become_rows(pictures, make_scene, tmp_path):
    folder = tmp_path / "odd"
    make_scene(folder / "good.png")
    make_scene(folder / "again.png")
    make_scene(folder / "narrow.png", 8, 16)
    make_scene(folder / "thin.png", 7, 100)
    make_scene(folder / "pixel.png", 1, 1)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "broken.dng").write_bytes(b"II*\0")
    made = prepare([folder, pictures], tmp_path / "set", **SMALL)
    assert made.scenes == {"train": 5, "val": 0}
    rows = sources(tmp_path / "set")
    assert {name for name, row in rows.items() if "skipped" in row} == set(made.skipped)
    reasons = {
        "odd/broken.dng": "cut off",
        "odd/broken.png": "damaged",
        "odd/good.png": "the same picture as odd/again.png",
        "odd/pixel.png": "1x1 pixels are too few",
        "odd/thin.png": "100x7 pixels are too few",
        "day/0.png": "the same picture as odd/again.png",
    }
    assert set(made.skipped) == set(reasons)
    for name, reason in reasons.items():
        assert reason in made.skipped[name]
        assert str(tmp_path) not in made.skipped[name]
    narrow = np.load(tmp_path / "set" / rows["odd/narrow.png"]["shard"])
    assert narrow.shape == (2, 6, 16, 16)


def test_no_usable_picture_is_an_error_that_leaves_nothing(make_scene, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ImageFileError, match="holds no pictures"):
        prepare(tmp_path / "a", tmp_path / "set", **SMALL)
    (tmp_path / "a" / "1.png").write_bytes(b"nothing")
    with pytest.raises(TrainingSetError, match=r"a/1\.png"):
        prepare(tmp_path / "a", tmp_path / "set", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# --- writing


def test_nothing_is_replaced_unasked(pictures, tmp_path):
    out = tmp_path / "set"
    out.mkdir()
    prepare(pictures, out, **SMALL)
    before = files(out)
    with pytest.raises(OutputError, match="set: exists already; pass overwrite=True"):
        prepare(pictures, out, **SMALL)
    assert files(out) == before
    prepare(pictures, out, **SMALL, seed=1, overwrite=True)
    assert files(out).keys() == before.keys()
    assert files(out) != before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_only_a_training_set_is_ever_replaced(pictures, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("mine")
    for name in ("mine", "file"):
        with pytest.raises(OutputError, match="is no training set"):
            prepare(pictures, tmp_path / name, **SMALL, overwrite=True)
    with pytest.raises(OutputError, match="folder does not exist"):
        prepare(pictures, tmp_path / "none" / "set", **SMALL)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_the_pictures_themselves_are_never_replaced(pictures, make_scene, tmp_path):
    out = tmp_path / "set"
    prepare(pictures, out, **SMALL)
    make_scene(out / "mine" / "1.png", seed=9)
    with pytest.raises(OutputError, match="holds the pictures"):
        prepare(out / "mine", out, **SMALL, overwrite=True)
    assert (out / "mine" / "1.png").exists()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"crop": 0}, "crop must be"),
        ({"renderings": 0}, "renderings must be"),
        ({"inputs": []}, "inputs must be"),
        ({"inputs": ["gif"]}, "inputs must be"),
        ({"exposure": (1, -1)}, "exposure must rise"),
        ({"exposure": (float("nan"), 1)}, "exposure must rise"),
        ({"share_val": 1.0}, "share_val must be"),
        ({"workers": 0}, "workers"),
        ({"preset": []}, "presets must name"),
    ],
)
def test_settings_out_of_range(pictures, tmp_path, settings, text):
    with pytest.raises(ValueError, match=text):
        prepare(pictures, tmp_path / "set", **settings)
    assert list(tmp_path.iterdir()) == []


def test_cameras_that_are_none(pictures, tmp_path):
    with pytest.raises(PipelineFileError, match=r"'nikon'.*karaimer_brown"):
        prepare(pictures, tmp_path / "set", preset="nikon")
    with pytest.raises(PipelineFileError, match=r"none\.toml"):
        prepare(pictures, tmp_path / "set", preset=tmp_path / "none.toml")
    (tmp_path / "own.toml").write_text('[[stage]]\nname = "WhiteBalance"\n')
    with pytest.raises(PipelineFileError, match="gives no srgb"):
        prepare(pictures, tmp_path / "set", preset=tmp_path / "own.toml")


SCRIPT = """
from isp_meta.training import prepare
if __name__ == "__main__":
    prepare({pictures!r}, {out!r}, renderings=100000, crop=16, crops=1, workers={workers})
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_leaves_nothing(pictures, tmp_path, workers):
    work = tmp_path / "work"
    work.mkdir()
    script = tmp_path / "script.py"
    out = str(work / "set")
    script.write_text(SCRIPT.format(pictures=str(pictures), out=out, workers=workers))
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(work.glob(".*.tmp/.*.tmp")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in printed
    assert process.returncode != 0
    assert list(work.iterdir()) == []


def test_a_full_disk_is_told_of_and_leaves_nothing(pictures, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError) as failure:
            prepare(pictures, tmp_path / "set", **SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    text = f"{tmp_path}/set/train-00000.npy: cannot write, the file is too large"
    assert str(failure.value).startswith(text)
    assert list(tmp_path.iterdir()) == []


def test_no_place_of_this_machine_is_in_a_set(crops_folder, pictures):
    text = (crops_folder / "manifest.json").read_text()
    assert str(pictures.parent) not in text
    assert json.loads(text)["version"] == 1

"""The scripts of examples/ run on the sample and write what they say."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import isp_meta
from isp_meta import presets, read_metadata, read_raw
from isp_meta.data import sample_path
from isp_meta.metrics import psnr
from isp_meta.samplers import SuperpixelSampler

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a script in an empty folder and gives the one that it makes.

    In this process, where all is loaded: a process of its own takes three seconds for that.
    """

    def made_by(name: str, *arguments: str) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return tmp_path / "demo-output"

    return made_by


def test_embed_and_recover(run):
    made = run("embed_and_recover.py")
    assert read_metadata(made / "hero6_crop.jpg").match == "exact"
    assert read_raw(made / "hero6_crop-recovered.dng").codes.shape == (1, 768, 1024)


def test_own_pipeline(run):
    carried = read_metadata(run("own_pipeline.py") / "own_pipeline.jpg").payload
    assert (carried.sampler, carried.demosaic) == ("UniformSampler", "bilinear")
    assert 96 * 128 <= len(carried.samples) < 1.1 * 96 * 128


def test_fit_camera(run):
    made = run("fit_camera.py")
    assert "ToneCurve" in (made / "fit_camera.toml").read_text()
    with Image.open(made / "fit_camera.jpg") as shown:
        panels = np.asarray(shown, np.float32).reshape(384, 3, 512, 3).swapaxes(0, 1)
    before, after = (np.square(panel - panels[2]).mean() for panel in panels[:2])
    assert after < before / 10


def test_unprocess(run):
    made = run("unprocess.py")
    assert read_raw(made / "unprocess.dng").codes.shape == (1, 768, 1024)
    with Image.open(made / "unprocess.jpg") as shown:
        assert shown.size == (1024, 768)


@pytest.mark.parametrize(
    ("script", "picture", "size"),
    [
        ("superpixels.py", "superpixels.png", (768, 384)),
        ("highlights.py", "highlights.jpg", (1032, 776)),
        ("training_set.py", "training_set.png", (1024, 512)),
        ("kornia_pipeline.py", "kornia_pipeline.jpg", (768, 384)),
        ("plots.py", "plots.png", (1200, 900)),
    ],
)
def test_pictures(run, script, picture, size):
    with Image.open(run(script) / picture) as shown:
        assert shown.size == size
        assert len(shown.convert("L").getcolors()) > 200


def test_bit_depth(run):
    made = run("bit_depth.py")
    assert read_metadata(made / "four_bits.png").payload.depth.left == 4
    pictures = ("eight_bits.png", "four_bits-recovered.png", "four_bits.png")
    truth, back, few = (np.asarray(Image.open(made / name)).astype(int) for name in pictures)
    assert np.array_equal(back >> 4, truth >> 4)
    assert np.square(back - truth).mean() < np.square(few - truth).mean() / 3


def test_evaluate(run):
    made = run("evaluate.py") / "evaluate"
    assert "uniform+cubic" in (made / "results.md").read_text(encoding="utf-8")
    assert len(list(made.glob("hero6_crop.dng/*.png"))) == 4


def test_train_denoiser(run, capsys):
    made = run("train_denoiser.py", "--steps", "2")
    with Image.open(made / "train_denoiser.png") as sheet:
        assert sheet.size == (4 * 64, 6 * 64)
    assert "behind" in capsys.readouterr().out


def test_rawpy_user(run):
    made = run("rawpy_user.py")
    assert read_metadata(made / "rawpy_user.jpg").match == "exact"
    recovered = torch.from_numpy(np.load(made / "rawpy_user.npy")).permute(2, 0, 1)
    true = presets.minimal()(read_raw(sample_path())).raw
    assert recovered.shape == true.shape
    assert psnr(recovered, true) > 35


def test_simulator_in_cpp_chooses_what_the_sampler_chooses(tmp_path):
    (library,) = Path(isp_meta.__file__).parent.glob("_ops.*.so")
    program, file = tmp_path / "simulator", tmp_path / "frame.bin"
    built = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([EXAMPLES / "cpp" / "build.sh", program], env=built, check=True)
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "libpython" not in linked
    subprocess.run([program, library, file], check=True)
    data, pixels = file.read_bytes(), 3 * 480 * 640
    raw, srgb = np.frombuffer(data, np.float32, 2 * pixels).reshape(2, 1, 3, 480, 640).copy()
    chosen = np.frombuffer(data, np.int64, offset=8 * pixels).reshape(1, 60, 80)
    true = SuperpixelSampler().cells(torch.from_numpy(srgb), torch.from_numpy(raw)).numpy()
    assert np.mean(chosen == true) > 0.999
    missing = subprocess.run([program, tmp_path / "no.so", file], capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: ")


def test_batch(tmp_path):
    # Its workers are processes, which import the script.
    command = [sys.executable, "-W", "error", EXAMPLES / "batch.py"]
    subprocess.run(command, cwd=tmp_path, check=True)
    made = tmp_path / "demo-output/batch"
    for name in ("first", "second"):
        assert read_metadata(made / f"jpeg/{name}/{name}.jpg").match == "exact"
        recovered = made / f"recovered/{name}/{name}-recovered.dng"
        assert read_raw(recovered).codes.shape == (1, 768, 1024)


def test_all_are_tested():
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    assert scripts == {
        *("embed_and_recover.py", "own_pipeline.py", "superpixels.py", "highlights.py"),
        *("fit_camera.py", "unprocess.py", "training_set.py", "evaluate.py"),
        *("rawpy_user.py", "kornia_pipeline.py", "plots.py", "batch.py", "bit_depth.py"),
        "train_denoiser.py",
    }

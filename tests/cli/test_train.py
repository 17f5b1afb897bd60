import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from isp_meta import io
from isp_meta.training import TrainingConfig, checkpoint, prepare

from .conftest import PROGRAM

CONFIG = """
[data]
folder = "{folder}"
crop = 32

[sampler]
width = 2

[reconstructor]
width = 2

[meta]
steps = 1

[validation]
pictures = 1
fine_tune = 1

[run]
output = "{output}"
batch = 2
steps = 2
tensorboard = false
log_every = 1
"""


@pytest.fixture(scope="module")
def training_set(tmp_path_factory, make_frame) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    for seed in (1, 2):
        frame = make_frame(96, 128, seed=seed)
        raw = ((frame.codes - 64) / (4095 - 64)).expand(3, -1, -1)
        io.write_dng(folder / f"{seed}.dng", frame.replace(raw=raw))
    made = tmp_path_factory.mktemp("made") / "set"
    prepare([folder], made, renderings=1, crop=32, crops=4, val=["2"])
    return made


@pytest.fixture
def config(training_set, tmp_path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(folder=training_set, output=tmp_path / "run"))
    return path


def steps_of(folder: Path) -> list[int]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines if "loss" in json.loads(line)]


def test_trains_and_goes_on(run, config, tmp_path):
    result = run("train", config)
    assert result.code == 0
    folder = tmp_path / "run"
    assert result.out.startswith(f"{folder}: step 2, psnr ")
    assert "psnr_tuned" in result.out
    assert [line.split()[:5] for line in result.lines[:2]] == [
        ["step", "1", "of", "2", "loss"],
        ["step", "2", "of", "2", "loss"],
    ]
    names = {"last.pt", "best.pt", "log.jsonl", "sampler.safetensors", "reconstructor.safetensors"}
    assert {path.name for path in folder.iterdir()} == names
    assert steps_of(folder) == [1, 2]
    assert run("train", config).failed(1, "last.pt", "--resume")
    result = run("train", config, "--resume", "--steps", 3)
    assert result.out.startswith(f"{folder}: step 3, ")
    assert steps_of(folder) == [1, 2, 3]
    assert checkpoint.load(folder / "last.pt")["step"] == 3


def test_a_set_that_is_not_there_is_made_first(run, config, training_set, tmp_path):
    pictures = next(training_set.parents[1].glob("scenes*"))
    prepared = f'[prepare]\npictures = ["{pictures}"]\nval = ["2"]\nrenderings = 1\ncrop = 32\n'
    text = config.read_text().replace(str(training_set), str(tmp_path / "own"))
    config.write_text(
        prepared + "crops = 4\n" + text.replace("steps = 2", "steps = 1\nthreads = 1")
    )
    assert run("train", config).code == 0
    for name in ("manifest.json", "train-00000.npy"):
        assert (tmp_path / "own" / name).read_bytes() == (training_set / name).read_bytes()
    before = (tmp_path / "own" / "manifest.json").stat().st_mtime_ns
    assert run("train", config, "--resume").code == 0
    assert (tmp_path / "own" / "manifest.json").stat().st_mtime_ns == before
    config.write_text(config.read_text().replace("renderings = 1", "renderings = 2"))
    assert run("train", config, "--resume").failed(1, "own", "renderings 1 and not 2")


def test_options_stand_in_for_the_files_keys(run, config, training_set, tmp_path):
    text = config.read_text().replace(str(training_set), "nowhere")
    config.write_text(text)
    options = ["--data", training_set, "--output", tmp_path / "other", "--steps", 1]
    assert run("train", config, *options).code == 0
    assert not (tmp_path / "run").exists()
    assert steps_of(tmp_path / "other") == [1]
    state = checkpoint.load(tmp_path / "other" / "last.pt")
    assert TrainingConfig.from_dict(state["config"]).data.folder == str(training_set)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("crop = 32", "crops = 32", ["config.toml", "[data] crops", "unknown key"]),
        ("batch = 2", "batch = 2.5", ["config.toml", "[run] batch", "a whole number"]),
        ("steps = 2", "steps = 0", ["config.toml", "[run] steps", "at least 1"]),
        ("crop = 32", "crop = 33", ["[data]", "crop must be 1 to 32"]),
        ("[reconstructor]", '[reconstructor]\nkind = "x"', ["[reconstructor] kind", "unet", "'x'"]),
        ("folder =", "#", ["[data] folder", "isp-meta prepare"]),
    ],
)
def test_a_wrong_config_is_one_line_and_leaves_nothing(run, config, names, old, new, said):
    config.write_text(config.read_text().replace(old, new, 1))
    assert run("train", config).failed(1, *said)
    assert names() == ["config.toml"]


def test_missing_files_are_named(run, config, tmp_path, names):
    assert run("train", tmp_path / "none.toml").failed(1, "none.toml")
    assert run("train", config, "--data", tmp_path / "none").failed(1, "none")
    assert run("train").code == 2
    assert names() == ["config.toml"]


def test_a_signal_ends_the_program_with_its_own_code(config, tmp_path):
    command = [PROGRAM, "train", config, "--steps", "100000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as program:
        log = tmp_path / "run" / "log.jsonl"
        deadline = time.monotonic() + 120
        while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        program.send_signal(signal.SIGTERM)
        out, _ = program.communicate(timeout=120)
    assert program.returncode == 128 + signal.SIGTERM
    state = checkpoint.load(tmp_path / "run" / "last.pt")
    path = tmp_path / "run" / "last.pt"
    assert out == f"{path}: stopped after step {state['step']}; go on with --resume\n"

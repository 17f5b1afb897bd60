import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from small_crops import SmallCrops, small_config
from torch import nn

from isp_meta import Frame
from isp_meta.errors import TrainingError
from isp_meta.metrics import psnr
from isp_meta.networks.shipped import shipped_features
from isp_meta.training import Interrupted, Trainer, checkpoint
from isp_meta.training.losses import Objective
from isp_meta.training.systems import build

ALL = {
    "samples": {"kind": "mixed"},
    "optimizer": {"ema": 0.9, "clip": 0.05, "rate": 5e-3},
    "schedule": {"warmup": 2},
    "meta": {"task": "picture", "pictures": 2, "steps": 2},
    "validation": {"every": 2},
}


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trainer(output, **sections):
    config = small_config(output, **sections)
    return Trainer(*build(config), config)


def fit(output, resume=False, observers=(), train=None, **sections):
    made = trainer(output, **sections)
    made.fit(train or SmallCrops(), SmallCrops(3), resume=resume, observers=observers)
    return made


def same(left, right):
    """Whether two states are the same to the bit."""
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and left.equal(right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def outcome(folder):
    """Checkpoint and log of a training, without what time it took."""
    state = checkpoint.load(folder / "last.pt")
    del state["seconds"], state["config"]
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return state, [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


PARTED = {**ALL, "run": {"micro_batch": 3, "threads": 1}}


@pytest.mark.parametrize("sections", [{}, ALL, PARTED], ids=["paper", "all", "micro-batches"])
def test_a_training_that_was_cut_off_ends_in_the_same_bits(tmp_path, sections):
    fit(tmp_path / "straight", **sections)
    half = {**sections, "run": {**sections.get("run", {}), "steps": 3}}
    sections = {**sections, "validation": {"every": 3, **sections.get("validation", {})}}
    if sections["validation"]["every"] == 2:
        half = {
            **sections,
            "run": {**half["run"], "steps": 4},
        }  # ends with a validation that is due anyway
    fit(tmp_path / "twice", **half)
    fit(tmp_path / "twice", resume=True, **sections)
    straight, twice = outcome(tmp_path / "straight"), outcome(tmp_path / "twice")
    assert straight[0]["step"] == 6
    assert same(straight[0], twice[0])
    assert straight[1] == twice[1]
    assert len(straight[1]) == 6 + 6 // sections["validation"]["every"]


class SignalAt:
    """Sends this process a signal while a step is at work."""

    def __init__(self, step, number):
        self.step, self.number = step, number

    def __call__(self, record):
        if record["step"] == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_step_with_all_that_is_needed_to_go_on(tmp_path, number):
    handlers = [signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(Interrupted, match=r"after step 2$") as stop:
        fit(tmp_path / "cut", observers=[SignalAt(2, number)])
    assert (stop.value.signal, stop.value.step) == (number, 2)
    assert stop.value.path == tmp_path / "cut" / "last.pt"
    assert handlers == [signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)]
    fit(tmp_path / "cut", resume=True)
    fit(tmp_path / "straight")
    assert same(outcome(tmp_path / "cut"), outcome(tmp_path / "straight"))


KILLED = """
import os, signal, sys
import torch
from small_crops import SmallCrops
from test_trainer import PARTED, trainer

torch.set_num_threads(1)
made = trainer(sys.argv[1], **PARTED, **{})
made.config.run.__dict__.update(save_every=2, steps=6)


def kill(record):
    if record["step"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)


made.fit(SmallCrops(), SmallCrops(3), observers=[kill])
"""


def test_a_training_that_was_killed_goes_on_in_the_same_bits(tmp_path):
    command = [sys.executable, "-W", "error", "-c", KILLED, str(tmp_path / "killed")]
    place = {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    ended = subprocess.run(command, env={**os.environ, **place}, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    folder = tmp_path / "killed"
    assert checkpoint.load(folder / "last.pt")["step"] == 4
    unfinished = folder / ".0123456789abcdef.tmp"
    unfinished.write_bytes(b"half a checkpoint")
    fit(folder, resume=True, **PARTED)
    fit(tmp_path / "straight", **PARTED)
    assert same(outcome(folder), outcome(tmp_path / "straight"))
    assert not unfinished.exists()


def test_micro_batches_change_nothing_but_what_batch_norm_sees(tmp_path, monkeypatch):
    """In evaluation mode batch norm sees no batch at all."""
    monkeypatch.setattr(Objective, "train", lambda model, _mode=True: nn.Module.train(model, False))
    made = {}
    for size in (0, 1, 3):
        sections = {**ALL, "optimizer": {"clip": 0.05}, "run": {"micro_batch": size}}
        each = trainer(tmp_path / str(size), **sections)
        each.objective.double()
        each.fit(SmallCrops(dtype=torch.float64), SmallCrops(3, dtype=torch.float64))
        made[size] = each.objective.state_dict()
    for size in (1, 3):
        for name, value in made[0].items():
            assert torch.allclose(value, made[size][name], atol=1e-9), name


def test_threads_are_those_of_the_config_and_then_again_those_of_before(tmp_path):
    seen = []
    fit(tmp_path, observers=[lambda _: seen.append(torch.get_num_threads())], run={"threads": 2})
    assert set(seen) == {2}
    assert torch.get_num_threads() == 1


def test_without_tensorboard_there_is_a_note_and_the_log(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    notes = []
    made = trainer(tmp_path, run={"tensorboard": True, "steps": 1})
    made.fit(SmallCrops(), SmallCrops(3), note=notes.append)
    assert len(notes) == 1
    assert "isp-meta[train]" in notes[0]
    assert {path.name for path in tmp_path.iterdir()} >= {"last.pt", "log.jsonl"}


def test_networks_learn(tmp_path):
    records = []
    sections = {"samples": {"kind": "uniform"}, "loss": {"meta": 0.0}, "optimizer": {"rate": 3e-2}}
    run = {"steps": 25}
    fit(tmp_path, observers=[records.append], validation={"every": 0}, run=run, **sections)
    losses = [record["reconstruction"] for record in records if "loss" in record]
    assert len(losses) == 25
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert [record["step"] for record in records if "psnr" in record] == [25]


def test_the_best_is_kept_and_exported_as_it_was_validated(tmp_path):
    sections = {"optimizer": {"ema": 0.5}, "validation": {"every": 1, "pictures": 3}}
    fit(tmp_path, **sections)
    state, log = outcome(tmp_path)
    figures = {line["step"]: line for line in log if "psnr" in line}
    best = max(figures.values(), key=lambda line: line["psnr_tuned"])
    kept = checkpoint.load(tmp_path / "best.pt")
    assert kept["step"] == best["step"]
    assert kept["best"] == state["best"] == best["psnr_tuned"]
    fresh = trainer(tmp_path, **sections)
    for name, part in [("sampler", fresh.sampler), ("reconstructor", fresh.reconstructor)]:
        path = tmp_path / f"{name}.safetensors"
        tensors = load_file(path)
        part.network.load_state_dict(tensors)
        assert all(tensors[key].equal(kept["average"][f"{name}.network.{key}"]) for key in tensors)
        with safe_open(path, "pt") as file:
            about = {key: json.loads(value) for key, value in file.metadata().items()}
        assert (about["part"], about["step"]) == (name, best["step"])
        assert about["figures"]["psnr_tuned"] == best["psnr_tuned"]
        assert about["config"]["samples"]["kind"] == "learned"
        assert str(tmp_path) not in json.dumps(about)
    plain, tuned = [], []
    for number in range(3):
        pair = SmallCrops(3)[number]
        frame = Frame(srgb=pair["srgb"], raw=pair["raw"])
        frame = Frame(srgb=pair["srgb"], samples=fresh.sampler(frame))
        plain.append(psnr(fresh.reconstructor(frame), pair["raw"]))
        better = fresh.reconstructor.fine_tune(frame, 1, held_out=0.0, seed=number)
        tuned.append(psnr(better(frame), pair["raw"]))
    assert best["psnr"] == pytest.approx(sum(plain) / 3, abs=1e-9)
    assert best["psnr_tuned"] == pytest.approx(sum(tuned) / 3, abs=1e-9)


def test_a_sampler_learns_for_the_decoder_that_ships_and_leaves_that_alone(tmp_path):
    sections = {"reconstructor": {"kind": "shipped"}, "samples": {"kind": "learned", "cell": 4}}
    made = fit(tmp_path, loss={"meta": 0.0}, **sections)
    fresh = trainer(tmp_path / "fresh", loss={"meta": 0.0}, **sections)
    assert not same(made.sampler.network.state_dict(), fresh.sampler.network.state_dict())
    features = made.reconstructor.network.features
    assert same(features.state_dict(), shipped_features().state_dict())
    assert features is not shipped_features()


@pytest.mark.parametrize("kind", ["free_form", "uniform", "random", "none"])
def test_every_kind_of_samples_is_validated(tmp_path, kind):
    made = fit(tmp_path, samples={"kind": kind}, run={"steps": 1})
    assert set(made.figures) == ({"psnr"} if kind == "none" else {"psnr", "psnr_tuned"})
    assert all(3 < value < 60 for value in made.figures.values())
    assert (tmp_path / "sampler.safetensors").exists() == (kind == "free_form")


class Spoiled(SmallCrops):
    """From the second epoch on raw is not a number."""

    def __getitem__(self, place):
        item = super().__getitem__(place)
        return (
            item if isinstance(place, int) or not place[0] else {**item, "raw": item["raw"] / 0 * 0}
        )


@pytest.mark.parametrize("saved", [False, True])
def test_a_loss_that_is_no_number_ruins_nothing(tmp_path, saved):
    made = trainer(tmp_path, run={"save_every": 2 if saved else 100, "steps": 9})
    with pytest.raises(TrainingError, match=r"step 4: loss is nan; ") as error:
        made.fit(Spoiled(), SmallCrops(3))
    assert made.step == 3
    assert all(value.isfinite().all() for value in made.objective.parameters())
    assert (tmp_path / "last.pt").exists() == saved
    assert ("last.pt is the last good state" in str(error.value)) == saved
    if saved:
        state = checkpoint.load(tmp_path / "last.pt")
        assert state["step"] == 2
        assert all(value.isfinite().all() for value in state["networks"].values())


def test_an_earlier_training_is_not_written_over(tmp_path):
    fit(tmp_path, run={"steps": 1})
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"last\.pt: is of an .*; pass resume=True"):
        fit(tmp_path, run={"steps": 1})
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    fit(tmp_path, run={"steps": 1})
    with pytest.raises(
        TrainingError, match=r"last\.pt: is of a training with another config"
    ) as error:
        fit(tmp_path, resume=True, reconstructor={"width": 3})
    assert len(str(error.value).splitlines()) == 1
    checkpoint.save_atomic(tmp_path / "last.pt", {"step": 1})
    with pytest.raises(TrainingError, match=r"last\.pt: is of a training with another config"):
        fit(tmp_path, resume=True)


def test_a_finished_training_goes_on_for_more_steps_or_does_nothing(tmp_path):
    fit(tmp_path, run={"steps": 2})
    before = (tmp_path / "log.jsonl").read_text()
    assert fit(tmp_path, resume=True, run={"steps": 2}).figures
    assert (tmp_path / "log.jsonl").read_text() == before
    assert fit(tmp_path, resume=True, run={"steps": 3}).step == 3


def test_half_precision_is_close_and_keeps_weights_whole(tmp_path):
    losses = {}
    for precision in ("float32", "bfloat16"):
        run = {"precision": precision, "steps": 2}
        records = []
        made = fit(tmp_path / precision, observers=[records.append], run=run)
        losses[precision] = records[0]["loss"]
        assert {value.dtype for value in made.objective.parameters()} == {torch.float32}
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)


def test_weights_and_chance_leave_the_callers_generator_alone(tmp_path):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    made = fit(tmp_path, run={"steps": 1})
    assert torch.get_rng_state().equal(before)
    weight = build(made.config)[1].network.conv.weight
    assert weight.equal(build(made.config)[1].network.conv.weight)
    assert not weight.equal(build(small_config(run={"seed": 1}))[1].network.conv.weight)


def test_tensorboard_has_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(tmp_path, run={"tensorboard": True, "steps": 3})
    fit(tmp_path, resume=True, run={"tensorboard": True, "steps": 4})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for name in ("loss", "psnr", "rate"):
        found = [(event.step, event.value) for event in events.Scalars(name)]
        expected = [(line["step"], line[name]) for line in log if name in line]
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected])

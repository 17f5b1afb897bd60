import resource
from pathlib import Path

import pytest
import torch
from small_crops import SmallCrops, small_config

from isp_meta.errors import TrainingError
from isp_meta.training import Trainer, memory
from isp_meta.training.memory import Need, measure
from isp_meta.training.systems import build


def trainer(output="run", **sections):
    config = small_config(output, **sections)
    return Trainer(*build(config), config)


def need(**sections):
    made = trainer(**sections)
    return measure(made.objective, made.config, half=made.half)


def test_what_a_step_takes_is_counted_by_crops():
    takes = Need(fixed=100, crop=10, task=5, tasks=2)
    assert [takes.bytes(crops) for crops in (1, 2, 3)] == [115, 130, 140]
    assert [takes.most(8, free) for free in (114, 115, 139, 140, 1000)] == [0, 1, 2, 3, 8]


def test_it_grows_with_crops_widths_and_the_meta_loss():
    least = need(loss={"meta": 0.0})
    assert least.task == 0
    assert need().crop == least.crop
    assert 0.3 * least.crop < need().task < least.crop  # one network of two
    assert need(data={"crop": 64}, loss={"meta": 0.0}).crop == pytest.approx(
        4 * least.crop, rel=0.1
    )
    wide = need(sampler={"width": 4}, reconstructor={"width": 4}, loss={"meta": 0.0})
    assert 1.5 * least.crop < wide.crop < 2.1 * least.crop
    widths = {"sampler": {"width": 16}, "reconstructor": {"width": 16}, "loss": {"meta": 0.0}}
    half, whole = (need(run={"precision": p}, **widths) for p in ("bfloat16", "float32"))
    assert half.crop < 0.8 * whole.crop


def test_a_task_counts_once_its_inner_loop_is_over():
    long, short = (need(meta={"task": "picture", "steps": steps}).task for steps in (9, 1))
    assert long == pytest.approx(short, rel=0.05)


def test_measuring_changes_nothing(tmp_path):
    made = trainer(tmp_path)
    before = {name: value.clone() for name, value in made.objective.state_dict().items()}
    torch.manual_seed(0)
    state = torch.get_rng_state()
    measure(made.objective, made.config, half=False)
    assert torch.get_rng_state().equal(state)
    assert made.objective.training
    after = made.objective.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())


def test_the_estimate_is_what_a_step_takes():
    """Of 500 MB, by the high-water mark of this process."""
    config = {"data": {"crop": 128}, "sampler": {"width": 8}, "reconstructor": {"width": 8}}
    made = trainer(**config, meta={"pictures": 2}, run={"batch": 8})
    expected = measure(made.objective, made.config, half=False).bytes(8)
    pair = [SmallCrops(side=128)[number] for number in range(8)]
    srgb, raw = (torch.stack([item[name] for item in pair]) for name in ("srgb", "raw"))
    before = memory_in_use()
    made._step(made.objective, srgb, raw, 1e-3)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert 0.6 < taken / expected < 1.3


def memory_in_use():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_what_does_not_fit_is_refused_with_what_would(tmp_path, monkeypatch):
    takes = need()
    monkeypatch.setattr(memory, "free_memory", lambda _device: takes.bytes(3))
    fits = trainer(tmp_path, run={"micro_batch": 3, "steps": 1})
    fits.fit(SmallCrops(), SmallCrops(3))
    with pytest.raises(TrainingError) as error:
        trainer(tmp_path / "whole").fit(SmallCrops(), SmallCrops(3))
    assert str(error.value).startswith("[run] batch: a step with 4 crops in memory takes about ")
    assert "with [run] micro_batch = 3 it takes" in str(error.value)
    assert not (tmp_path / "whole" / "log.jsonl").exists()
    monkeypatch.setattr(memory, "free_memory", lambda _device: 1000)
    with pytest.raises(TrainingError, match="narrower networks"):
        trainer(tmp_path / "none").fit(SmallCrops(), SmallCrops(3))
    monkeypatch.setattr(memory, "free_memory", lambda _device: None)
    trainer(tmp_path / "unknown", run={"steps": 1}).fit(SmallCrops(), SmallCrops(3))


def test_what_is_free_is_at_most_what_a_control_group_leaves(tmp_path):
    free = memory.free_memory(torch.device("cpu"))
    total = int(Path("/proc/meminfo").read_text().splitlines()[0].split()[1]) * 1024
    assert 0 < free < total
    assert memory.free_memory(torch.device("meta")) is None
    for name, text in {
        "memory.max": "1000\n",
        "memory.current": "700\n",
        "memory.stat": "anon 600\ninactive_file 50\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert memory._left_of_group(tmp_path) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._left_of_group(tmp_path) is None
    assert memory._left_of_group(tmp_path / "none") is None

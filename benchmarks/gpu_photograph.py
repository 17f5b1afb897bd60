"""Embed, recover and training on a GPU: python benchmarks/gpu_photograph.py [RAW] [--device cuda]

Seconds of embedding (on the CPU, wherever recovery is), of recovering on the CPU and on the device,
and by how much the two differ; then seconds of a training step of a config, its batch of noise on
the device already. Medians, once warm.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import describe, machine

import isp_meta
from isp_meta.data import sample_path
from isp_meta.training import Trainer, TrainingConfig
from isp_meta.training.systems import build


def median(run: Callable[[], object], rounds: int, device: str) -> float:
    """Seconds."""
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def photograph(raw: Path, device: str, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        jpeg = Path(folder, "picture.jpg")
        embed = median(lambda: isp_meta.embed(raw, jpeg, overwrite=True), 1, "cpu")
        found = {d: isp_meta.recover(jpeg, device=d).raw for d in ("cpu", device)}
        seconds = {
            d: median(lambda d=d: isp_meta.recover(jpeg, device=d), rounds, d) for d in found
        }
    return {
        "embed": embed,
        **{f"recover on {d}": value for d, value in seconds.items()},
        "largest difference": float((found["cpu"] - found[device]).abs().max()),
    }


def training(config: Path, device: str, rounds: int) -> dict[str, float]:
    plan = TrainingConfig.from_toml(config)
    with tempfile.TemporaryDirectory() as folder:
        plan = dataclasses.replace(plan, run=dataclasses.replace(plan.run, output=folder))
        trainer = Trainer(*build(plan), plan, torch.device(device))
        shape = (plan.run.batch, 3, plan.data.crop, plan.data.crop)
        srgb, raw = (
            torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last)
            for _ in range(2)
        )
        model, rate = trainer._distributed(), plan.optimizer.rate
        step = median(lambda: trainer._step(model, srgb, raw, rate), rounds, device)
    return {f"step of {config.stem}": step}


def main() -> None:
    parser = argparse.ArgumentParser(description="Embed, recover and training on a GPU.")
    parser.add_argument("raw", type=Path, nargs="?", help="a raw file; the sample by default")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--config", type=Path, default=Path("configs/paper.toml"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    print(describe(machine(given.device)))
    figures = photograph(given.raw or sample_path(), given.device, given.rounds)
    figures |= training(given.config, given.device, given.rounds)
    for name, value in figures.items():
        print(f"{name:24}{value:10.4f}")
    if given.json:
        result = {"machine": machine(given.device), "figures": figures}
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

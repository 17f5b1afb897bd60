"""Trains and measures the ablations of the paper's Tables 1 to 3, each for as many steps.

    python scripts/ablations.py configs/imx135.toml imx135/val -o ablations

Goes on where it was stopped, in whatever way: a row that is trained is not trained again, and what
was measured is not measured again. After each row OUTPUT/results.md has the tables of those so far.
The config says all but samples, meta loss, seed and steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from isp_meta import io, presets
from isp_meta.evaluation import (
    Benchmark,
    FileInput,
    Method,
    Rendering,
    Results,
    Weights,
    benchmark,
    tables,
)
from isp_meta.frame import Sampler
from isp_meta.samplers import RandomSampler, UniformSampler
from isp_meta.training import Interrupted, Trainer, TrainingConfig, checkpoint
from isp_meta.training.systems import build, crops

ROWS: dict[str, dict[str, dict[str, Any]]] = {
    # Table 2: sampling. Its last two are compared, so they are trained from three seeds.
    "none": {"samples": {"kind": "none"}, "loss": {"meta": 0.0}},
    "random": {"samples": {"kind": "random"}},
    "uniform": {"samples": {"kind": "uniform"}},
    "both": {"samples": {"kind": "learned"}},
    # Table 3: what the sampler sees, what it draws, and the meta loss.
    "srgb": {"samples": {"kind": "learned"}, "sampler": {"inputs": "srgb"}},
    "raw": {"samples": {"kind": "learned"}, "sampler": {"inputs": "raw"}},
    "free-form": {"samples": {"kind": "free_form"}},
    "uniform-no-meta": {"samples": {"kind": "uniform"}, "loss": {"meta": 0.0}},
    "both-no-meta": {"samples": {"kind": "learned"}, "loss": {"meta": 0.0}},
    "uniform-seed-1": {"samples": {"kind": "uniform"}, "run": {"seed": 1}},
    "both-seed-1": {"samples": {"kind": "learned"}, "run": {"seed": 1}},
    "uniform-seed-2": {"samples": {"kind": "uniform"}, "run": {"seed": 2}},
    "both-seed-2": {"samples": {"kind": "learned"}, "run": {"seed": 2}},
}
"""Name of a row and what it changes of the config, section by section."""

_SAMPLING = {"learned": "learned", "free_form": "free-form"}


def changed(config: TrainingConfig, row: str, folder: Path, steps: int) -> TrainingConfig:
    """The config of a row.

    Args:
        config: that all rows share.
        row: a key of ``ROWS``.
        folder: that the row's training writes to.
        steps: of it.
    """
    table = config.to_dict()
    for section, values in ROWS[row].items():
        table[section] = {**table[section], **values}
    table["run"] = {**table["run"], "output": str(folder), "steps": steps}
    table["run"].pop("epochs", None)
    return TrainingConfig.from_dict(table)


def train(config: TrainingConfig) -> None:
    """Trains to the end, from where an earlier run was stopped."""
    last = Path(config.run.output) / "last.pt"
    if last.exists() and checkpoint.load(last)["step"] >= (config.run.steps or 0):
        return
    trainer = Trainer(*build(config), config)
    trainer.fit(
        *crops(config, print),
        resume=True,
        observers=[lambda record: print(config.run.output, _shown(record), flush=True)],
        note=print,
    )


def _shown(record: Any) -> str:
    names = ("step", "loss", "psnr", "psnr_tuned")
    return "  ".join(f"{name} {record[name]:.6g}" for name in names if name in record)


def methods(config: TrainingConfig, row: str) -> list[Method]:
    """A row's networks as a benchmark takes them, under the row's name."""
    kind, cell = config.samples.kind, config.samples.cell
    weights = Weights.load(row, config.run.output)
    plain: dict[str, Sampler] = {
        "uniform": UniformSampler(cell),
        "random": RandomSampler(0, config.samples.share),
    }
    sampler = plain.get(kind, weights.sampler)
    return [Method(_SAMPLING.get(kind, kind), "unet", sampler, weights.reconstructor, weights)]


def plan(found: list[Method], cell: int) -> Benchmark:
    """What the rows are measured on: 16 bits, 8 bits and JPEG 95, global and local tones."""
    return Benchmark(
        methods=found,
        renderings=[
            Rendering("karaimer-brown", presets.karaimer_brown()),
            Rendering("local-tone", presets.local_tone()),
        ],
        inputs=[FileInput(16), FileInput(8), FileInput(8, quality=95)],
        fine_tune=[0, 10],
        settings={"cell": cell, "seed": 0},
    )


def main() -> None:
    """Works the queue off."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path, help="of a training, .toml")
    parser.add_argument("scenes", type=Path, help="folder to measure on")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5000, help="of each training")
    parser.add_argument("--rows", default=",".join(ROWS), help="by comma; all, in order")
    given = parser.parse_args()
    rows = given.rows.split(",")
    if not ROWS.keys() >= set(rows):
        parser.error(f"--rows {given.rows}: must be of {', '.join(ROWS)}")
    config = TrainingConfig.from_toml(given.config)
    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / "results.json"
    results = Results.read(path) if path.exists() else None
    found: list[Method] = []
    for row in rows:
        own = changed(config, row, given.output / row, given.steps)
        try:
            train(own)
        except Interrupted as end:
            raise SystemExit(f"{end.path}: {end}; the same command goes on") from end
        found += methods(own, row)
        results = benchmark(given.scenes, plan(found, own.samples.cell), results=results)
        results.write(path)
        io.write_atomic(path.with_suffix(".md"), tables([results]).encode(), overwrite=True)
        print(path.with_suffix(".md"), flush=True)


if __name__ == "__main__":
    main()

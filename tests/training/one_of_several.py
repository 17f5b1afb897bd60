"""A process that trains its share: ``python one_of_several.py FOLDER``, as torchrun starts it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from small_crops import SmallCrops, small_config
from torch import nn

from isp_meta.reconstruct.unet import UNetReconstructor
from isp_meta.samplers.learned import LearnedSampler
from isp_meta.training import Interrupted, Trainer
from isp_meta.training.distributed import processes, rank

CASES = {
    "paper": {"optimizer": {"clip": 0.05}},
    "mixed": {
        "samples": {"kind": "mixed"},
        "meta": {"task": "picture", "pictures": 2},
        "optimizer": {"ema": 0.9},
    },
}


def trainer(folder: Path, case: str) -> Trainer:
    """Networks without batch norm, whose statistics would be those of each share."""
    config = small_config(folder / case, run={"steps": 4}, **CASES[case])
    torch.manual_seed(0)
    sampler, reconstructor = (
        nn.Sequential(
            nn.Conv2d(inputs, 8, 3, padding=1), nn.Softplus(), nn.Conv2d(8, outputs, 3, padding=1)
        ).double()
        for inputs, outputs in ((6, 9), (7, 3))
    )
    return Trainer(LearnedSampler(sampler), UNetReconstructor(reconstructor), config)


def train(folder: Path, case: str) -> None:
    crops = SmallCrops(dtype=torch.float64)
    trainer(folder, case).fit(crops, crops)


class Interrupting(SmallCrops):
    """Interrupts the second process as soon as it reads."""

    def batch_indices(self, *arguments: int) -> list[tuple[int, int]]:
        if rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch_indices(*arguments)


def interrupt(folder: Path) -> None:
    made = trainer(folder, "paper")
    made.folder = folder / "interrupted"
    crops = Interrupting(dtype=torch.float64)
    try:
        made.fit(crops, crops)
    except Interrupted as end:
        (folder / f"interrupted-{rank()}").write_text(f"{end.signal} {end.step}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with processes("cpu"):
        for name in CASES:
            train(Path(sys.argv[1]), name)
        interrupt(Path(sys.argv[1]))

"""Crops made up from their places, and a training of them that takes no time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from isp_meta.training import TrainingConfig


class SmallCrops:
    """Smooth raw pictures with edges; sRGB is their gamma."""

    def __init__(self, count: int = 12, side: int = 32, dtype: torch.dtype = torch.float32) -> None:
        self.count, self.side, self.dtype = count, side, dtype

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Tensor]:
        epoch, index = (0, place) if isinstance(place, int) else place
        generator = torch.Generator().manual_seed(1000 * epoch + index)
        coarse = torch.rand(1, 3, 4, 4, generator=generator, dtype=self.dtype)
        raw = functional.interpolate(coarse, size=self.side, mode="bilinear")[0]
        raw[:, :, self.side // 2 :] *= 0.5
        return {"srgb": raw.pow(1 / 2.2), "raw": raw}

    def batch_indices(
        self, step: int, batch: int, world_size: int = 1, rank: int = 0
    ) -> list[tuple[int, int]]:
        positions = range(step * batch + rank, (step + 1) * batch, world_size)
        return [divmod(position, self.count) for position in positions]


def small_config(output: object = "run", **sections: dict[str, object]) -> TrainingConfig:
    """Networks of width 2, batches of 4."""
    run = {"output": str(output), "batch": 4, "steps": 6, "tensorboard": False, "log_every": 1}
    given = {
        "data": {"crop": 32},
        "sampler": {"width": 2},
        "reconstructor": {"width": 2},
        "meta": {"steps": 2},
        "validation": {"every": 3, "pictures": 2, "fine_tune": 1},
        "run": run,
    }
    for section, values in sections.items():
        given[section] = {**given.get(section, {}), **values}
    return TrainingConfig.from_dict(given)

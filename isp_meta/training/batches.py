"""Batches on their way to the device: the next ones are read while the last one is at work."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from .config import RunConfig
from .dataset import Place
from .distributed import rank, world_size

__all__ = ["Batches", "Crops", "validation_pictures"]

_AHEAD = 2  # batches that are read at once: one reader each

Pictures = tuple[Tensor, Tensor]


class Crops(Protocol):
    """What is trained on; :class:`isp_meta.training.CropDataset` is one."""

    def __len__(self) -> int:
        """Crops of an epoch."""

    def __getitem__(self, place: int | Place) -> dict[str, Tensor]:
        """ "srgb" and "raw", (3, S, S) float32 in [0, 1]: a function of the place alone."""

    def batch_indices(
        self, step: int, batch: int, world_size: int = 1, rank: int = 0
    ) -> Sequence[Place]:
        """Places of a step's crops; every n-th of its batch, of n processes."""


class Batches:
    """A training's batches, this process' share of each.

    Args:
        crops: to draw from.
        config: size of a batch.
        device: to bring them to.
    """

    def __init__(self, crops: Crops, config: RunConfig, device: torch.device) -> None:
        self.crops, self.config, self.device = crops, config, device
        self._readers = ThreadPoolExecutor(_AHEAD)
        self._ahead: dict[int, Future[Pictures]] = {}

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_error: object) -> None:
        self._readers.shutdown(cancel_futures=True)

    def at(self, step: int) -> Pictures:
        """sRGB and raw of a step, (B / n, 3, S, S) each, on the device."""
        wanted = range(step, step + _AHEAD + 1)
        self._ahead = {
            at: self._ahead.get(at) or self._readers.submit(self._read, at) for at in wanted
        }
        srgb, raw = (
            part.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
            for part in self._ahead[step].result()
        )
        return srgb, raw

    def _read(self, step: int) -> Pictures:
        places = self.crops.batch_indices(step, self.config.batch, world_size(), rank())
        return _stacked([self.crops[place] for place in places], pin=self.device.type == "cuda")


def _stacked(items: Sequence[dict[str, Tensor]], *, pin: bool) -> Pictures:
    srgb, raw = (torch.stack([item[name] for item in items]) for name in ("srgb", "raw"))
    return (srgb.pin_memory(), raw.pin_memory()) if pin else (srgb, raw)


def validation_pictures(crops: Crops, most: int, device: torch.device) -> list[Pictures]:
    """sRGB and raw of crops spread evenly over the set, (3, S, S) each; always the same ones.

    Args:
        most: how many, if there are as many.
    """
    count = min(most, len(crops))
    items = [crops[number * len(crops) // count] for number in range(count)]
    return [(item["srgb"].to(device), item["raw"].to(device)) for item in items]

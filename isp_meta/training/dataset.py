"""Training sets on disk as PyTorch data sets, in an order that any step can be taken up from."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import TrainingSetError
from .manifest import Manifest, Shard
from .renderings import FULL

__all__ = ["CropDataset", "Epochs", "Place"]

Place = tuple[int, int]
"""(epoch, index): what chance depends on, besides the seed."""

# Of the two uses of chance, so that neither repeats the other's numbers.
_ORDER, _CROP = 0, 1


class Epochs(ABC):
    """An order of items, epoch after epoch, that any step can be taken up from.

    Attributes:
        seed: of the order, >= 0.
    """

    seed: int

    @abstractmethod
    def __len__(self) -> int:
        """Items of an epoch."""

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(N,) the indices of one epoch, in the order in which they are to be visited."""
        return np.random.default_rng((self.seed, _ORDER, epoch)).permutation(len(self))

    def batch_indices(
        self, step: int, batch: int, world_size: int = 1, rank: int = 0
    ) -> list[Place]:
        """Places of the items of one training step.

        Epochs follow each other without a gap, and a batch may lie across two of them. Of several
        processes each takes every ``world_size``-th item of the same batch.

        Args:
            step: of training, from 0.
            batch: items a step, over all processes together; a multiple of ``world_size``.
            world_size, rank: number of processes, and which one of them this is.

        Returns:
            ``batch / world_size`` places.

        Raises:
            ValueError: out of range.
        """
        if step < 0 or not 0 <= rank < world_size or batch < 1 or batch % world_size:
            raise ValueError(
                f"step {step}, batch {batch}, rank {rank} of {world_size}: batch must be a "
                "multiple of the number of processes"
            )
        positions = range(step * batch + rank, (step + 1) * batch, world_size)
        orders: dict[int, NDArray[np.int64]] = {}
        places = []
        for position in positions:
            epoch, at = divmod(position, len(self))
            if epoch not in orders:
                orders[epoch] = self.order(epoch)
            places.append((epoch, int(orders[epoch][at])))
        return places


class CropDataset(Epochs, Dataset[dict[str, Tensor]]):
    """The crops of one split of a training set, each cut to a smaller one at random.

    An item is ``{"srgb": (3, S, S), "raw": (3, S, S)}``, float32 in [0, 1]. Its content depends on
    ``seed`` and the item's place alone, never on which items were asked for before or by whom.
    Shards are memory-mapped; a set may be larger than memory.

    Args:
        folder: made by :func:`isp_meta.training.prepare`.
        split: "train" or "val".
        crop: side of an item, pixels, at most the stored crops'.
        augment: cut, flip and transpose at random; else an item is the middle of a stored crop.
        seed: of the order and of the augmentation, >= 0.

    Raises:
        TrainingSetError: no such set, one of another version, a shard missing or of another size,
            or a split without crops. ValueError: crop or split out of range.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        split: Literal["train", "val"] = "train",
        crop: int = 128,
        augment: bool = True,
        seed: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.read(self.folder)
        if split not in ("train", "val"):
            raise ValueError(f"split must be train or val, not {split!r}")
        if not 1 <= crop <= self.manifest.crop:
            raise ValueError(f"crop must be 1 to {self.manifest.crop}, not {crop}")
        self.split, self.crop, self.augment, self.seed = split, crop, augment, seed
        self.shards = [shard for shard in self.manifest.shards if shard.split == split]
        if not self.shards:
            raise TrainingSetError(f"{folder}: has no crops for {split}")
        for shard in self.shards:
            self._check(shard)
        self._ends = list(accumulate(shard.crops for shard in self.shards))

    def _check(self, shard: Shard) -> None:
        path = self.folder / shard.file
        try:
            size = path.stat().st_size
        except OSError as error:
            raise TrainingSetError(f"{path}: missing; prepare the set again") from error
        least = shard.crops * 12 * self.manifest.crop**2
        if size != shard.size or size < least:
            raise TrainingSetError(
                f"{path}: has {size} bytes in place of {shard.size}; prepare the set again"
            )

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, place: int | Place) -> dict[str, Tensor]:
        """The item of an (epoch, index), or of an index in epoch 0."""
        epoch, index = (0, place) if isinstance(place, int) else place
        if not 0 <= index < len(self):
            raise IndexError(f"there is no crop {index} among {len(self)}")
        number = bisect_right(self._ends, index)
        shard = self.shards[number]
        stored = self._map(shard)[index - self._ends[number] + shard.crops]
        if self.augment:
            cut = self._cut(stored, np.random.default_rng((self.seed, _CROP, epoch, index)))
        else:
            margin = (self.manifest.crop - self.crop) // 2
            cut = stored[:, margin : margin + self.crop, margin : margin + self.crop]
        pair = torch.from_numpy(np.divide(cut, FULL, dtype=np.float32))
        return {"srgb": pair[:3], "raw": pair[3:]}

    def _map(self, shard: Shard) -> NDArray[np.uint16]:
        path = self.folder / shard.file
        try:
            crops: NDArray[np.uint16] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise TrainingSetError(f"{path}: damaged ({error}); prepare the set again") from error
        side = self.manifest.crop
        if crops.dtype != np.uint16 or crops.shape != (shard.crops, 6, side, side):
            raise TrainingSetError(f"{path}: holds {crops.dtype} {crops.shape}; prepare it again")
        return crops

    def _cut(
        self, stored: NDArray[np.uint16], generator: np.random.Generator
    ) -> NDArray[np.uint16]:
        top, left = generator.integers(self.manifest.crop - self.crop + 1, size=2)
        cut = stored[:, top : top + self.crop, left : left + self.crop]
        transpose, flip_rows, flip_columns = generator.integers(2, size=3)
        if transpose:
            cut = cut.transpose(0, 2, 1)
        return cut[:, :: -1 if flip_rows else 1, :: -1 if flip_columns else 1]

"""Pictures of few bits and what they were made of, drawn from a folder of finished pictures.

file ─ crop ─ turned, colors swapped, exposed ─ truth of B bits ─ its b highest ─▶ middles of bins
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from .. import io
from ..errors import ImageFileError, TrainingSetError
from ..scenes import find_scenes, scene_name
from .dataset import Epochs, Place

__all__ = ["DepthDataset"]

# Decoded pictures that are kept, of more; a picture is decoded anew for nearly every crop then.
_KEPT = 256
_CROP = 1  # what a random number is for
_EXPOSED, _LINEAR, _DEEP = 0.3, 0.5, 0.5  # shares of the crops
_STOPS = 1.0
_GAMMA = 1 / 2.2


class DepthDataset(Epochs, Dataset[dict[str, Tensor]]):
    """Crops of finished pictures, with what is left of them at fewer bits.

    An item is ``{"srgb": middles of bins, "raw": (code + 1/2) / 2ᴮ}``, (3, S, S) float32, B = 8 or
    16; it depends on ``seed`` and the item's place alone. Pictures of 16 bits are taken for linear
    and given a gamma of 1/2.2 half of the time.

    Args:
        files: PNG, TIFF or JPEG of 8 or 16 bits.
        crop: side of an item, pixels. Smaller pictures are mirrored at their ends.
        bits: that are left, each as often as it stands here.
        augment: cut, turn, swap colors and expose at random; else the middle of each picture, with
            8 bits of truth and the number of bits that stands most often in ``bits``.
        seed: of the order and of the augmentation, >= 0.

    Raises:
        TrainingSetError: no picture. ImageFileError: one cannot be read.
    """

    def __init__(
        self,
        files: Sequence[Path],
        crop: int,
        bits: Sequence[int],
        augment: bool = True,
        seed: int = 0,
    ) -> None:
        if not files:
            raise TrainingSetError("no picture is left to train on or to validate on")
        self.files, self.crop, self.bits = list(files), crop, list(bits)
        self.augment, self.seed = augment, seed
        areas = [_picture(path).shape[1] * _picture(path).shape[2] for path in self.files]
        count = [-(-area // crop**2) if augment else 1 for area in areas]
        self._ends = list(accumulate(count))

    @classmethod
    def split(
        cls,
        folder: str | os.PathLike[str],
        val: Sequence[str],
        crop: int,
        bits: Sequence[int],
        seed: int = 0,
    ) -> tuple[DepthDataset, DepthDataset]:
        """The pictures to train on and those to validate on.

        Args:
            folder: of the pictures and of folders of them.
            val: patterns of the names, from the folder on, of those to validate on.
        """
        top = Path(folder)
        files = find_scenes(top)
        names = [scene_name(path, top) for path in files]
        kept = [any(fnmatch.fnmatchcase(name, one) for one in val) for name in names]
        train = [path for path, held in zip(files, kept, strict=True) if not held]
        held = [path for path, is_held in zip(files, kept, strict=True) if is_held]
        return cls(train, crop, bits, seed=seed), cls(held, crop, bits, False, seed)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, place: int | Place) -> dict[str, Tensor]:
        """The item of an (epoch, index), or of an index in epoch 0."""
        epoch, index = (0, place) if isinstance(place, int) else place
        if not 0 <= index < len(self):
            raise IndexError(f"there is no crop {index} among {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        picture = _picture(self.files[number])
        if self.augment:
            generator = np.random.default_rng((self.seed, _CROP, epoch, index))
            cut, depth = self._augmented(picture, generator)
            bits = int(generator.choice([b for b in self.bits if b < depth]))
        else:
            deep = picture.dtype == np.uint16
            cut, depth = _toned(self._middle(picture), deep), 8
            bits = max(self.bits, key=self.bits.count)
        codes = torch.from_numpy(np.floor(np.minimum(cut, 1 - 2**-20) * 2**depth))
        middles = (torch.floor(codes / 2 ** (depth - bits)) + 0.5) / 2**bits
        return {"srgb": middles.float(), "raw": ((codes + 0.5) / 2**depth).float()}

    def _middle(self, picture: NDArray[np.uint8 | np.uint16]) -> NDArray[np.float64]:
        picture = _at_least(picture, self.crop)
        top, left = ((side - self.crop) // 2 for side in picture.shape[1:])
        return _levels(picture[:, top : top + self.crop, left : left + self.crop])

    def _augmented(
        self, picture: NDArray[np.uint8 | np.uint16], generator: np.random.Generator
    ) -> tuple[NDArray[np.float64], int]:
        """(3, S, S) in [0, 1], and how many bits of it are true."""
        side = self.crop
        picture = _at_least(picture, side)
        top, left = (generator.integers(length - side + 1) for length in picture.shape[1:])
        deep = picture.dtype == np.uint16
        cut = _levels(picture[:, top : top + side, left : left + side])
        transpose, flip_rows, flip_columns = generator.integers(2, size=3)
        if transpose:
            cut = cut.transpose(0, 2, 1)
        cut = cut[generator.permutation(3), :: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
        cut = _toned(cut, deep and generator.random() > _LINEAR)
        if generator.random() < _EXPOSED:
            cut = cut * 2 ** generator.uniform(-_STOPS, _STOPS / 2)
        return np.clip(cut, 0, 1), 16 if deep and generator.random() < _DEEP else 8


def _toned(cut: NDArray[np.float64], toned: bool) -> NDArray[np.float64]:
    return cut**_GAMMA if toned else cut


def _levels(picture: NDArray[np.uint8 | np.uint16]) -> NDArray[np.float64]:
    """Middles of codes, so that their 8 or 16 highest bits are the codes again."""
    return (picture.astype(np.float64) + 0.5) / (256 if picture.dtype == np.uint8 else 65536)


def _at_least(picture: NDArray[np.uint8 | np.uint16], side: int) -> NDArray[np.uint8 | np.uint16]:
    below, beside = (max(0, side - length) for length in picture.shape[1:])
    if below or beside:
        return np.pad(picture, ((0, 0), (0, below), (0, beside)), mode="symmetric")
    return picture


@lru_cache(_KEPT)
def _picture(path: Path) -> NDArray[np.uint8 | np.uint16]:
    codes = io.decode_image(io.read_bytes(path, ImageFileError), str(path), deep=True)
    return codes.numpy().astype(np.uint8 if codes.dtype == torch.uint8 else np.uint16)

"""What training minimizes.

srgb, raw ─ sampler.choose ─▶ mask, L_S ─┬─▶ kept = mask ⊗ raw ─ inputs ─▶ network ─▶ L_R
                                         └── straight-through gradient ◀─────────────┘
          ─ random mask ─▶ inner steps ─▶ θ′ ─▶ network at θ′ ─▶ L_M
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from .config import LossConfig, TrainingConfig
from .distributed import rank, world_size
from .masks import largest_mask, random_mask, uniform_mask
from .meta_learning import adapt, batch_norm_as, carry

if TYPE_CHECKING:
    from ..reconstruct.trainable import Online, TrainableReconstructor
    from .systems import TrainableSampler

__all__ = ["Objective", "distance", "seed_of"]

_CHARBONNIER = 1e-3
_LEAST = 1e-7  # mean squared error, as of 11 bits: better than that counts no more
_ALL = slice(None)
_CHOOSE, _SAMPLES, _META, _ONLINE = range(4)  # what a random number is for


def distance(prediction: Tensor, truth: Tensor, config: LossConfig) -> Tensor:
    """Mean over pixels and channels of |d| ("l1"), √(d² + 10⁻⁶) ("charbonnier") or d² ("l2").

    "decibels" is the mean over pictures of 10 log₁₀(10⁻⁷ + the picture's mean of d²).

    Args:
        prediction, truth: (B, ...) of one shape; d is their difference.

    Source: L_R is the first, Nam et al., CVPR 2022, Eq. 6, as a mean.
    """
    difference = prediction.to(truth.dtype) - truth
    if config.distance == "l1":
        return difference.abs().mean()
    squares = difference.square()
    if config.distance == "decibels":
        return 10 * torch.log10(squares.flatten(1).mean(1) + _LEAST).mean()
    return squares.mean() if config.distance == "l2" else (squares + _CHARBONNIER**2).sqrt().mean()


def seed_of(*numbers: int) -> int:
    """A seed that is a function of others and shares no pattern with them, in [0, 2⁶³)."""
    # NumPy takes zeros at the end for nothing.
    sequence = np.random.SeedSequence((len(numbers), *numbers))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


class Objective(nn.Module):
    """All losses of a batch, as one module, so that one call goes through DDP.

        L = L_R + λ_S L_S + λ_M L_M

    What is random depends on the seed and the step alone: a training that was cut off goes on as
    if it had not been, on any number of processes.

    Args:
        sampler: trained along, or None where no network chooses.
        reconstructor: trained.
        config: of the training.

    Source: Nam et al., CVPR 2022, Eq. 6, 9, 10 and Algorithm 1; means, as in the published code.
    """

    def __init__(
        self,
        sampler: TrainableSampler | None,
        reconstructor: TrainableReconstructor,
        config: TrainingConfig,
    ) -> None:
        super().__init__()
        self.sampler = sampler
        self.reconstructor = reconstructor
        self.config = config

    def forward(
        self,
        srgb: Tensor,
        raw: Tensor,
        step: int,
        part: slice = _ALL,
        adapted: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The losses of this process' share of a batch, or of a part of it.

        Args:
            srgb, raw: (B, 3, H, W) in [0, 1]: every n-th picture of the batch, of n processes.
            step: of the training, from 0.
            part: the pictures to work on. What parts that make up the batch return adds up to what
                the whole returns.
            adapted: θ′ of :meth:`adapt` for a part; None: found here.

        Returns:
            "loss", which is L, and its parts "reconstruction", "superpixel", "meta"; scalars.
        """
        weights = self.config.loss
        x, y = srgb[part], raw[part]
        share = len(x) / len(srgb)
        mask, superpixel = self._samples(srgb, raw, step, part)
        inputs = self.reconstructor.inputs(x, mask * y, mask)
        reconstruction = share * distance(self.reconstructor.network(inputs), y, weights)
        superpixel = share * superpixel
        meta = torch.zeros_like(reconstruction)
        if weights.meta:
            meta = self._meta(srgb, raw, step, part, adapted)
        return {
            "loss": reconstruction + weights.superpixel * superpixel + weights.meta * meta,
            "reconstruction": reconstruction.detach(),
            "superpixel": superpixel.detach(),
            "meta": meta.detach(),
        }

    def adapt(
        self, srgb: Tensor, raw: Tensor, step: int, parts: Sequence[slice] = (_ALL,)
    ) -> dict[str, Tensor] | None:
        """θ′ of the inner loop, where one is for a whole batch; else None.

        Args:
            srgb, raw, step: as in :meth:`forward`.
            parts: of the batch, one of which is in memory at a time.
        """
        if not self.config.loss.meta or self.config.meta.task != "batch":
            return None
        network = self.reconstructor.network
        count = self._meta_count(srgb)
        with batch_norm_as(network, self.config.meta):
            online = self._online(srgb, raw, step, slice(count))
            task = [online.pictures(each) for part in parts if (each := _within(part, count))]
            return adapt(network, task, self.config.meta, shared=True)

    def _samples(self, srgb: Tensor, raw: Tensor, step: int, part: slice) -> tuple[Tensor, Tensor]:
        """(b, 1, H, W) mask and L_S of a part."""
        config = self.config.samples
        kind: str = config.kind
        if kind == "mixed":
            kind = ("uniform", "random", "learned")[self._seed(step, _CHOOSE) % 3]
        if kind == "varied":
            kinds = "none", "uniform", "largest_error", "largest_error"
            kind = kinds[self._seed(step, _CHOOSE) % 4]
        if kind in ("learned", "free_form"):
            if self.sampler is None:
                raise ValueError(f"samples that are {kind} need a sampler")
            choice = self.sampler.choose(srgb[part], raw[part])
            return choice.mask, choice.loss
        zero = srgb.new_zeros(())
        if kind == "none":
            return torch.zeros_like(srgb[part, :1]), zero
        if kind == "largest_error":
            return self._largest_error(srgb[part], raw[part]), zero
        if kind == "random":
            return self._random(srgb, self._seed(step, _SAMPLES))[part], zero
        batch, _, height, width = srgb[part].shape
        return uniform_mask((batch, height, width), config.cell).to(srgb), zero

    @torch.no_grad()
    def _largest_error(self, srgb: Tensor, raw: Tensor) -> Tensor:
        """(B, 1, H, W) mask of the pixels that the reconstructor meets worst without any."""
        none = torch.zeros_like(srgb[:, :1])
        found = self.reconstructor.network(self.reconstructor.inputs(srgb, none * raw, none))
        error = (found.clamp(0, 1) - raw).square().sum(1, keepdim=True)
        return largest_mask(error, self.config.samples.cell)

    def _seed(self, step: int, purpose: int) -> int:
        return seed_of(self.config.run.seed, step, purpose)

    def _random(self, srgb: Tensor, seed: int) -> Tensor:
        batch, _, height, width = srgb.shape
        generator = torch.Generator().manual_seed(seed)
        shape = (batch * world_size(), height, width)
        # That of the whole batch, so that the number of processes makes no difference.
        mask = random_mask(shape, self.config.samples.share, generator)
        return mask[rank() :: world_size()].to(srgb)

    def _meta_count(self, srgb: Tensor) -> int:
        """This process' pictures that the meta loss is taken of: the first of its share."""
        return min(len(srgb), max(1, self.config.meta_pictures // world_size()))

    def _meta(
        self,
        srgb: Tensor,
        raw: Tensor,
        step: int,
        part: slice,
        adapted: Mapping[str, Tensor] | None,
    ) -> Tensor:
        """L_M of Algorithm 1, as far as a part of the pictures that it is taken of goes."""
        count = self._meta_count(srgb)
        pictures = _within(part, count)
        if not pictures:
            return srgb.new_zeros(())
        if self.config.meta.task == "batch":
            theta = self.adapt(srgb, raw, step) if adapted is None else adapted
            assert theta is not None
            return self._after(theta, srgb, raw, step, pictures) * len(srgb[pictures]) / count
        losses = []
        for number in range(pictures.start, pictures.stop):
            one = slice(number, number + 1)
            with batch_norm_as(self.reconstructor.network, self.config.meta):
                task = [self._online(srgb, raw, step, one)]
                theta = adapt(self.reconstructor.network, task, self.config.meta)
            losses.append(self._after(theta, srgb, raw, step, one))
        return torch.stack(losses).sum() / count

    def _online(self, srgb: Tensor, raw: Tensor, step: int, part: slice) -> Online:
        """What random samples of some pictures say."""
        mask = self._random(srgb[: self._meta_count(srgb)], self._seed(step, _META))[part]
        seed = seed_of(self.config.run.seed, step, _ONLINE, rank(), part.start or 0)
        generator = torch.Generator().manual_seed(seed)
        return self.reconstructor.online(srgb[part], mask * raw[part], mask, generator)

    def _after(
        self, adapted: Mapping[str, Tensor], srgb: Tensor, raw: Tensor, step: int, part: slice
    ) -> Tensor:
        """The error over all pixels at θ′."""
        network = self.reconstructor.network
        mask = self._random(srgb[: self._meta_count(srgb)], self._seed(step, _META))[part]
        with batch_norm_as(network, self.config.meta):
            inputs = self.reconstructor.inputs(srgb[part], mask * raw[part], mask)
            prediction = functional_call(network, carry(network, adapted), (inputs,))
            return distance(prediction, raw[part], self.config.loss)


def _within(part: slice, count: int) -> slice | None:
    """A part of a batch as far as it is among the first so many; None: it is not."""
    start, stop, _ = part.indices(count)
    return slice(start, stop) if start < stop else None

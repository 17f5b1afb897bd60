"""What training minimizes.

srgb, raw ─ sampler.choose ─▶ mask, L_S ─┬─▶ kept = mask ⊗ raw ─ inputs ─▶ network ─▶ L_R
                                         └── straight-through gradient ◀─────────────┘
          ─ random mask ─▶ inner steps ─▶ θ′ ─▶ network at θ′ ─▶ L_M
"""

from __future__ import annotations

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
    from ..reconstruct.trainable import TrainableReconstructor
    from .systems import TrainableSampler

__all__ = ["Objective", "distance", "seed_of"]

_CHARBONNIER = 1e-3
_LEAST = 1e-7  # mean squared error, as of 11 bits: better than that counts no more
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

    def forward(self, srgb: Tensor, raw: Tensor, step: int) -> dict[str, Tensor]:
        """The losses of this process' share of a batch.

        Args:
            srgb, raw: (B, 3, H, W) in [0, 1]: every n-th picture of the batch, of n processes.
            step: of the training, from 0.

        Returns:
            "loss", which is L, and its parts "reconstruction", "superpixel", "meta"; scalars.
        """
        weights = self.config.loss
        mask, superpixel = self._samples(srgb, raw, step)
        inputs = self.reconstructor.inputs(srgb, mask * raw, mask)
        reconstruction = distance(self.reconstructor.network(inputs), raw, weights)
        meta = self._meta(srgb, raw, step) if weights.meta else torch.zeros_like(reconstruction)
        return {
            "loss": reconstruction + weights.superpixel * superpixel + weights.meta * meta,
            "reconstruction": reconstruction.detach(),
            "superpixel": superpixel.detach(),
            "meta": meta.detach(),
        }

    def _samples(self, srgb: Tensor, raw: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) mask and L_S."""
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
            choice = self.sampler.choose(srgb, raw)
            return choice.mask, choice.loss
        zero = srgb.new_zeros(())
        if kind == "none":
            return torch.zeros_like(srgb[:, :1]), zero
        if kind == "largest_error":
            return self._largest_error(srgb, raw), zero
        if kind == "random":
            return self._random(srgb, self._seed(step, _SAMPLES)), zero
        batch, _, height, width = srgb.shape
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

    def _meta(self, srgb: Tensor, raw: Tensor, step: int) -> Tensor:
        """L_M of Algorithm 1, on this process' share of the pictures that it is taken of."""
        config = self.config.meta
        count = min(len(srgb), max(1, self.config.meta_pictures // world_size()))
        srgb, raw = srgb[:count], raw[:count]
        mask = self._random(srgb, self._seed(step, _META))
        seed = seed_of(self.config.run.seed, step, _ONLINE, rank())
        generator = torch.Generator().manual_seed(seed)
        if config.task == "batch":
            return self._meta_of_task(srgb, raw, mask, generator)
        parts = [slice(number, number + 1) for number in range(count)]
        losses = [self._meta_of_task(srgb[p], raw[p], mask[p], generator) for p in parts]
        return torch.stack(losses).mean()

    def _meta_of_task(
        self, srgb: Tensor, raw: Tensor, mask: Tensor, generator: torch.Generator
    ) -> Tensor:
        config, network = self.config.meta, self.reconstructor.network
        kept = mask * raw
        with batch_norm_as(network, config):
            online = self.reconstructor.online(srgb, kept, mask, generator)
            adapted = adapt(network, online, config, shared=config.task == "batch")
            theta = carry(network, adapted)
            inputs = self.reconstructor.inputs(srgb, kept, mask)
            return distance(functional_call(network, theta, (inputs,)), raw, self.config.loss)

"""How good the networks are: pictures sampled, recovered and compared as a user would have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..frame import Frame
from ..metrics import psnr
from ..samplers import RandomSampler, UniformSampler
from ..samples import Samples
from .config import TrainingConfig
from .distributed import rank, sum_over_processes, world_size

if TYPE_CHECKING:
    from ..reconstruct.trainable import TrainableReconstructor
    from .systems import TrainableSampler

__all__ = ["validate"]

_HIGHEST = 100.0  # dB, of one picture: an infinite one would make the mean so


def validate(
    sampler: TrainableSampler | None,
    reconstructor: TrainableReconstructor,
    pictures: Sequence[tuple[Tensor, Tensor]],
    config: TrainingConfig,
) -> dict[str, float]:
    """Mean PSNR of pictures, recovered from their samples.

    Args:
        sampler: chooses, or None: samples are what the config's kind says.
        reconstructor: without gradients; fine-tuned for each picture if the config says so.
        pictures: sRGB and raw, (3, H, W) each; each process takes its share.
        config: of the training.

    Returns:
        "psnr" and, where the networks are fine-tuned, "psnr_tuned"; decibels.
    """
    fine_tune = config.validation.fine_tune if config.samples.kind != "none" else 0
    sums = torch.zeros(3, dtype=torch.float64, device=pictures[0][0].device)
    for number in range(rank(), len(pictures), world_size()):
        srgb, raw = pictures[number]
        frame = Frame(srgb=srgb, raw=raw)
        frame = Frame(srgb=srgb, samples=_samples(sampler, frame, number, config))
        sums[0] += _figure(reconstructor, frame, raw)
        if fine_tune:
            tuned = reconstructor.fine_tune(frame, steps=fine_tune, held_out=0.0, seed=number)
            sums[1] += _figure(tuned, frame, raw)
        sums[2] += 1
    sum_over_processes([sums])
    plain, tuned_sum, count = sums.tolist()
    figures = {"psnr": plain / count}
    return {**figures, "psnr_tuned": tuned_sum / count} if fine_tune else figures


@torch.no_grad()
def _figure(reconstructor: TrainableReconstructor, frame: Frame, raw: Tensor) -> float:
    samples: Samples = frame.require("samples", "validation")
    if len(samples):
        return min(_HIGHEST, psnr(reconstructor(frame), raw))
    # A reconstructor takes no frame without samples.
    srgb: Tensor = frame.require("srgb", "validation")[None]
    inputs = reconstructor.inputs(srgb, torch.zeros_like(srgb), torch.zeros_like(srgb[:, :1]))
    return min(_HIGHEST, psnr(reconstructor.network(inputs)[0], raw))


def _samples(
    sampler: TrainableSampler | None, frame: Frame, number: int, config: TrainingConfig
) -> Samples:
    if sampler is not None:
        return sampler(frame)
    raw: Tensor = frame.require("raw", "validation")
    if config.samples.kind == "none":
        return Samples.at(torch.empty(0, dtype=torch.int64, device=raw.device), raw)
    if config.samples.kind == "random":
        return RandomSampler(number, config.samples.share).forward(frame)
    return UniformSampler(config.samples.cell).forward(frame)

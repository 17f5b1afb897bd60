"""The meta loss: what the reconstructor is worth after a few steps on the samples alone.

θ ──▶ inner step on random samples (L_O) ─ ×5 ─▶ θ′ ──▶ L_M over all pixels ──▶ gradient
└──────────────────── first order: the gradient at θ′ counts as that at θ ◀────────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .config import MetaConfig
from .distributed import sum_over_processes

__all__ = ["OnlineTask", "adapt", "batch_norm_as", "carry", "online_loss"]


class OnlineTask(Protocol):
    """What fine-tuning minimizes; see :mod:`isp_meta.reconstruct.trainable`."""

    @property
    def inputs(self) -> Tensor:
        """(B, C, H, W), of the network."""

    @property
    def target(self) -> Tensor:
        """(B, 3, H, W), raw where the weight is above 0."""

    @property
    def weight(self) -> Tensor:
        """(B, 1, H, W), >= 0."""


def online_loss(prediction: Tensor, task: OnlineTask, total: Tensor | None = None) -> Tensor:
    """Mean error at the samples.

        L_O = Σ w |ŷ − y| / (3 Σ w)

    Args:
        prediction: (B, 3, H, W), ŷ.
        task: y and w.
        total: Σ w, where the batch is a share of a larger one.

    Returns:
        A scalar; 0 where nothing has weight.

    Source: Nam et al., CVPR 2022, Eq. 8; a mean over the samples, where the published code takes
    that over all pixels, which is 64 times less.
    """
    total = task.weight.sum() if total is None else total
    error = (prediction.to(task.target.dtype) - task.target).abs() * task.weight
    return error.sum() / (3 * total).clamp(min=1e-12)


def adapt(
    network: nn.Module, task: Sequence[OnlineTask], config: MetaConfig, *, shared: bool = False
) -> dict[str, Tensor]:
    """Takes the inner steps: gradient descent from θ on the samples of a task.

        θ ← θ − β ∇ L_O(θ)

    Args:
        network: of a reconstructor; not changed.
        task: what the samples say, in parts of which one is in memory at a time.
        config: steps and rate.
        shared: the task spreads over all processes, and θ′ is the same in all of them.

    Returns:
        θ′ by name: leaves that know nothing of θ.
    """
    theta: dict[str, Tensor] = {
        name: value.detach().requires_grad_()
        for name, value in network.named_parameters()
        if value.requires_grad
    }
    total = torch.stack([part.weight.sum() for part in task]).sum()
    if shared:
        sum_over_processes([total])
    for _ in range(config.steps):
        gradients = [torch.zeros_like(value) for value in theta.values()]
        for part in task:
            with torch.enable_grad():
                loss = online_loss(functional_call(network, theta, (part.inputs,)), part, total)
                found = torch.autograd.grad(loss, list(theta.values()))
            torch._foreach_add_(gradients, list(found))
        if shared:
            sum_over_processes(gradients)
        pairs = zip(theta.items(), gradients, strict=True)
        theta = {
            name: (value - config.rate * gradient).detach().requires_grad_()
            for (name, value), gradient in pairs
        }
    return theta


def carry(network: nn.Module, adapted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """θ′ whose gradient reaches θ unchanged.

        θ + stop(θ′ − θ)

    So one backward pass through all losses is enough, and hooks on θ see it once.

    Args:
        network: whose parameters are θ.
        adapted: θ′ of :func:`adapt`.

    Source: first-order MAML, Finn et al., ICML 2017, section 5.2.
    """
    theta = dict(network.named_parameters())
    return {name: theta[name] + (value - theta[name]).detach() for name, value in adapted.items()}


@contextmanager
def batch_norm_as(network: nn.Module, config: MetaConfig) -> Iterator[None]:
    """Batch norm in the inner loop: as fine-tuning has it, or as the published code has it.

    The published code normalizes by the batch and lets six more batches, of random masks, enter
    the running statistics, while its fine-tuning uses the running ones: the two do not match.
    """
    was = network.training
    network.train(config.batch_norm == "published")
    try:
        yield
    finally:
        network.train(was)

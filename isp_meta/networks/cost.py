"""What a network costs, counted where it happens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .tiles import evaluating

__all__ = ["multiply_adds"]


@torch.no_grad()
def multiply_adds(network: nn.Module, inputs: int, side: int = 64) -> float:
    """Multiplications, each with its addition, that a network spends on a pixel.

    Counts convolutions and linear layers; the rest of a network is small beside them.

    Args:
        network: (1, inputs, side, side) -> any.
        inputs: channels.
        side: of the square picture that is run to count, pixels; a multiple of the network's own
            padding, which would be counted too.

    Returns:
        Multiply-adds a pixel.
    """
    total = 0

    def count(layer: nn.Module, arguments: tuple[Any, ...], result: Tensor) -> None:
        nonlocal total
        weight: Any = layer.weight
        # Each weight is used once a place: of the result, of the input for a transposed layer.
        places = arguments[0] if isinstance(layer, nn.ConvTranspose2d) else result
        channels = 1 if not isinstance(layer, nn.Linear) else -1
        total += weight.numel() * (places.numel() // places.shape[channels])

    layers = [
        m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, inputs, side, side))
    finally:
        for hook in hooks:
            hook.remove()
    return total / side**2

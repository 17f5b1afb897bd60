"""What samplers that learn have in common: what they look at, and what training asks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..frame import Frame
from ..networks.tiles import ReadWindow, Window

__all__ = ["Choice", "Inputs", "check_inputs", "network_inputs", "window_reader"]

Inputs = Literal["both", "srgb", "raw"]


@dataclass(frozen=True, eq=False)
class Choice:
    """The pixels that a sampler chose, such that training can push the choice.

    Attributes:
        mask: (B, 1, H, W), 1 where a pixel was chosen, else 0; its gradient goes straight through
            to the network's probability at the pixels where it is 1, and nowhere else (Eq. 5).
        loss: scalar, the superpixel loss (Eqs. 1 to 3) as the published code scales it: means,
            pictures in 8-bit levels, positions in pixels; 0 without superpixels.
    """

    mask: Tensor
    loss: Tensor


def check_inputs(inputs: str) -> None:
    """Raises ValueError unless ``inputs`` names what a network may look at."""
    if inputs not in get_args(Inputs):
        raise ValueError(f"inputs must be one of {', '.join(get_args(Inputs))}, not {inputs!r}")


def network_inputs(srgb: Tensor, raw: Tensor, inputs: Inputs) -> Tensor:
    """(..., 6, H, W), or (..., 3, H, W) of one picture alone; sRGB first, as in the paper."""
    if inputs == "both":
        return torch.cat((srgb, raw), -3)
    return srgb if inputs == "srgb" else raw


def window_reader(
    frame: Frame, inputs: Inputs, by: str
) -> tuple[ReadWindow, Tensor, tuple[int, int]]:
    """What tells a network's inputs in a window of a frame, the frame's raw, and its (H, W).

    Raises:
        PipelineOrderError: ``by`` needs raw or srgb, which is empty.
        ValueError: their sizes differ.
    """
    raw: Tensor = frame.require("raw", by)
    srgb: Tensor = frame.require("srgb", by)
    if raw.shape != srgb.shape:
        raise ValueError(f"srgb is {tuple(srgb.shape)}, raw {tuple(raw.shape)}; they must agree")

    def read(window: Window) -> Tensor:
        return network_inputs(window.of(srgb), window.of(raw), inputs)

    return read, raw, (raw.shape[-2], raw.shape[-1])

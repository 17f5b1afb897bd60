"""The U-Net of the paper, under the names of its authors' checkpoints."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["UNet"]

_LEVELS = 4


def _block(name: str, inputs: int, outputs: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, channels in ((1, inputs), (2, outputs)):
        layers[f"{name}conv{number}"] = nn.Conv2d(
            channels, outputs, 3, padding=1, bias=False, padding_mode="replicate"
        )
        layers[f"{name}norm{number}"] = nn.BatchNorm2d(outputs)
        layers[f"{name}relu{number}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


class UNet(nn.Module):
    """Four levels down and up again, with what each level had beside what comes up to it.

    encoder1 ─────────────────────────▶ decoder1 ─▶ conv ─▶ head
      └▶ encoder2 ───────────────▶ decoder2 ▲
           └▶ encoder3 ─────▶ decoder3 ▲
                └▶ encoder4 ▶ decoder4 ▲
                     └▶ bottleneck ▲

    A block is two 3x3 convolutions, each with batch normalization and ReLU. At width 32, 7 inputs
    and 3 outputs: 7.76 million parameters and 185,000 multiply-adds a pixel. A picture whose sides
    are not multiples of 16 is continued to them by its last row and column.

    Args:
        inputs: channels in, >= 1. 6 for the paper's sampler, 7 for its reconstructor.
        outputs: channels out, >= 1. 9 and 3.
        width: channels of the first level, >= 1; each level has twice those of the one above.
        head: "linear" (the sampler's logits) or "sigmoid" (the reconstructor's raw, in [0, 1]).

    Attributes:
        halo: how far around a block of 16 pixels its result depends on the inputs: 94 pixels,
            rounded up to 96.
        multiple: 16, the grid of pooling, pixels.

    Raises:
        ValueError: an argument out of range.

    Source: Nam et al., CVPR 2022, section 3, and its published code.
    """

    halo = 96
    multiple = 2**_LEVELS

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 32,
        head: Literal["linear", "sigmoid"] = "linear",
    ) -> None:
        super().__init__()
        if inputs < 1 or outputs < 1 or width < 1:
            raise ValueError(
                f"inputs, outputs and width must be >= 1, not {inputs}, {outputs} and {width}"
            )
        if head not in ("linear", "sigmoid"):
            raise ValueError(f"head must be 'linear' or 'sigmoid', not {head!r}")
        self.inputs, self.outputs, self.width, self.head = inputs, outputs, width, head
        channels = [inputs, *(width << level for level in range(_LEVELS + 1))]
        for level in range(1, _LEVELS + 1):
            block = _block(f"enc{level}", channels[level - 1], channels[level])
            self.add_module(f"encoder{level}", block)
        self.bottleneck = _block("bottleneck", channels[_LEVELS], channels[_LEVELS + 1])
        for level in range(_LEVELS, 0, -1):
            upconv = nn.ConvTranspose2d(channels[level + 1], channels[level], 2, stride=2)
            self.add_module(f"upconv{level}", upconv)
            self.add_module(
                f"decoder{level}", _block(f"dec{level}", 2 * channels[level], channels[level])
            )
        self.conv = nn.Conv2d(width, outputs, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """(B, outputs, H, W) of (B, inputs, H, W); H and W at least 1."""
        height, width = picture.shape[-2:]
        # Also by nothing, so that one traced program serves all sizes.
        beyond = (0, -width % self.multiple, 0, -height % self.multiple)
        x = functional.pad(picture, beyond, mode="replicate")
        levels: list[Tensor] = []
        for level in range(1, _LEVELS + 1):
            x = self.get_submodule(f"encoder{level}")(x)
            levels.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for level in range(_LEVELS, 0, -1):
            x = self.get_submodule(f"upconv{level}")(x)
            x = self.get_submodule(f"decoder{level}")(torch.cat((x, levels.pop()), 1))
        # Half types hold 8 to 11 bits: enough between layers, too few for a result.
        with torch.autocast(x.device.type, enabled=False):
            x = self.conv(x[..., :height, :width].to(self.conv.weight.dtype))
        result: Tensor = x.sigmoid() if self.head == "sigmoid" else x
        return result

    @torch.no_grad()
    def folded(self, dtype: torch.dtype | None = None) -> UNet:
        """A copy for evaluation that has batch normalization within its convolutions.

        Args:
            dtype: of all layers but the last, torch.bfloat16 say, of what the copy takes as well;
                None: as they are.
        """
        folded = copy.deepcopy(self).eval()
        for block in folded.children():
            if isinstance(block, nn.Sequential):
                for at in (0, 3):
                    convolution, norm = block[at], block[at + 1]
                    assert isinstance(convolution, nn.Conv2d)
                    assert isinstance(norm, nn.BatchNorm2d)
                    block[at] = fuse_conv_bn_eval(convolution, norm)
                    block[at + 1] = nn.Identity()
        if dtype is not None:
            folded.to(dtype)
            folded.conv = copy.deepcopy(self.conv)
        return folded

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"{self.inputs}, {self.outputs}, width={self.width}, head={self.head!r}"

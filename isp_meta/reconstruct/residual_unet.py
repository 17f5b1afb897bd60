"""A U-Net that corrects a first guess, in place of finding raw by itself.

sRGB ─ cubic fitted to the samples ─▶ guess ───────────────────────┐
samples ─ log gain against it ─┬─ averaged around each pixel ─▶ (+)─▶ guess · exp ─▶ raw
                               └─ U-Net, with all of the above ─▶ ┘
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..decoder.cubic import apply_polynomial, fit_polynomial
from ..decoder.guess import LOG_FLOOR, log_gain
from ..networks import UNet
from ..networks.tiles import ReadWindow, Window
from ..samples import Samples
from .planes import sample_planes
from .trainable import TrainableReconstructor

__all__ = ["ResidualUNet", "ResidualUNetReconstructor"]

# Pixels of a square over which gains are averaged, and the weight of none.
_SQUARE, _PRIOR = 4, 1e-3
_BRIGHTNESS = 0.005  # what dark samples count beside bright ones
_LIMIT = 2.0


class ResidualUNet(nn.Module):
    """(B, 13, H, W) of :class:`ResidualUNetReconstructor` to (B, 3, H, W) raw.

    Fresh weights give the averaged gains, uncorrected.

    Args:
        unet: of 13 inputs and 3 outputs, head "linear".
    """

    multiple = UNet.multiple
    halo = UNet.halo + 4 * _SQUARE

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.unet = unet
        nn.init.zeros_(unet.conv.weight)
        if unet.conv.bias is not None:
            nn.init.zeros_(unet.conv.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Raw, not clipped, so that every error has a gradient."""
        correction = self.unet(inputs)
        guess, gain = inputs[:, 3:6], inputs[:, 6:9]
        gain = (gain + correction.to(gain.dtype)).clamp(-_LIMIT, _LIMIT)
        raw: Tensor = (guess + LOG_FLOOR) * gain.exp() - LOG_FLOOR
        return raw


class ResidualUNetReconstructor(TrainableReconstructor):
    """A U-Net on a first guess: a cubic in color, times what the samples around a pixel tell.

    A small network, trained for minutes, starts where interpolation ends.

    Args:
        network: :class:`ResidualUNet`. Others as in :class:`TrainableReconstructor`.
    """

    def inputs(self, srgb: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """(B, 13, H, W): sRGB, guess, averaged log gain, log gain at samples, mask.

        Without a gradient in ``kept``: ``mask * raw`` would tell a sampler what a brighter sample
        does, where what counts is that it is there. The guess stays as it is for the same reason.
        """
        with torch.autocast(srgb.device.type, enabled=False):
            kept = kept.detach()
            index = [each.flatten().nonzero()[:, 0] for each in mask]
            pictures = zip(srgb, kept, index, strict=True)
            guess = [_guess(x, at, y.flatten(1)[:, at].T) for x, y, at in pictures]
            return _planes(srgb, torch.stack(guess), kept, mask)

    def window_reader(self, srgb: Tensor, samples: Samples) -> ReadWindow:
        """What tells the network's inputs, (13, h, w), in a window of a picture."""
        guess = _guess(srgb, samples.index.to(srgb.device), samples.value.to(srgb))

        def read(window: Window) -> Tensor:
            kept, mask = (plane.to(srgb)[None] for plane in sample_planes(samples, window))
            return _planes(window.of(srgb)[None], window.of(guess)[None], kept, mask)[0]

        return read


@torch.no_grad()
def _guess(srgb: Tensor, index: Tensor, value: Tensor) -> Tensor:
    """(3, H, W) the cubic of a picture's samples; sRGB itself where there are none."""
    if not len(index):
        return srgb
    return apply_polynomial(fit_polynomial(srgb.flatten(1)[:, index].T, value), srgb)


def _planes(srgb: Tensor, guess: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
    weight = mask * (kept.mean(1, keepdim=True) + _BRIGHTNESS)
    gain = log_gain(kept, guess).clamp(-_LIMIT, _LIMIT)
    return torch.cat((srgb, guess, _averaged(gain, weight), gain * mask, mask), 1)


def _averaged(gain: Tensor, weight: Tensor) -> Tensor:
    """(B, 3, H, W) weighted mean of the gains around each pixel."""
    height, width = weight.shape[-2:]
    both = torch.cat([gain * weight, weight], 1)
    both = functional.pad(both, (0, -width % _SQUARE, 0, -height % _SQUARE))
    both = functional.avg_pool2d(both, _SQUARE)
    for _ in range(2):
        both = functional.avg_pool2d(both, 3, 1, 1)
    mean = both[:, :3] / (both[:, 3:] + _PRIOR / 64)
    mean = functional.interpolate(
        mean, scale_factor=float(_SQUARE), mode="bilinear", align_corners=False
    )
    return mean[..., :height, :width]

"""Where methods put their samples and make their errors: one sheet a picture, on one scale."""

from __future__ import annotations

import math
import os

import torch
from PIL import Image
from torch import Tensor

from .. import io
from ..comparison.fidelity import Fidelity
from ..frame import Frame
from ..registration import upright
from .drawing import contact_sheet, error_map, sample_overlay, tensor_of

__all__ = ["ErrorMaps", "round_scale"]

# The share of a map's pixels that may be white; tiles are enlarged to about the side.
_WHITE = 0.05
_SIDE = 700
_BAR = 24


def round_scale(errors: list[Tensor]) -> float:
    """A scale that all of a picture's maps share.

    Args:
        errors: (H, W) absolute errors of each map, >= 0.

    Returns:
        The smallest of 1, 2, 5 · 10^k that at most 5 % of each map's pixels exceed: in a burnt
        picture what is lost for good is a hundred times what else goes wrong.
    """
    least = 1e-4
    for error in errors:
        flat = error.flatten()
        rank = min(len(flat), math.ceil((1 - _WHITE) * len(flat)))
        least = max(least, float(flat.kthvalue(rank).values))
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-6))


class ErrorMaps:
    """Gathers what methods made of one picture, and draws it as figures 5 to 7 of the paper do.

    Args:
        frame: with the true ``raw``, ``srgb`` as the methods see it, and ``camera``.

    Source: Nam et al., CVPR 2022.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.overlays: dict[object, tuple[str, Frame]] = {}
        self.errors: list[tuple[str, Tensor]] = []

    def add(self, title: str, keeper: object, kept: Frame, raw: Tensor, found: Fidelity) -> None:
        """Takes one method's result.

        Args:
            title: of the method. keeper: what chose its samples; their map is drawn once.
            kept: with ``samples``. raw: (3, H, W), rebuilt. found: how near it comes.
        """
        samples = kept.require("samples", "ErrorMaps")
        if len(samples):
            sampling = title.partition("+")[0]
            self.overlays.setdefault(keeper, (f"{sampling}: {len(samples)} samples", kept))
        # The largest channel's error is all that a map shows.
        error = (raw - self.frame.require("raw", "ErrorMaps")).abs_().amax(0)
        self.errors.append((f"{title}\n{found.psnr:.2f} dB, SSIM {found.ssim:.4f}", error))

    def draw(self) -> Image.Image:
        """The sheet: the picture and where samples lie, below the errors and their scale."""
        srgb: Tensor = self.frame.require("srgb", "ErrorMaps")
        height, width = srgb.shape[-2:]
        zoom = max(1, _SIDE // max(height, width))
        full = round_scale([error for _, error in self.errors])
        tiles = [("the picture", _enlarged(self._upright(srgb), zoom))]
        for label, kept in self.overlays.values():
            overlay = sample_overlay(srgb, kept.require("samples", "ErrorMaps"), zoom)
            tiles.append((label, self._upright(tensor_of(overlay))))
        for label, error in self.errors:
            shown = tensor_of(error_map(error.expand(3, -1, -1), torch.zeros_like(error), full))
            tiles.append((label, _enlarged(self._upright(shown), zoom)))
        wide = max(tile.shape[-1] for _, tile in tiles)
        ramp = torch.linspace(0, full, wide).expand(3, _BAR, wide)
        bar = tensor_of(error_map(ramp, torch.zeros_like(ramp), full))
        text = f"error of the worst channel: 0 to {full:g} of saturation"
        return contact_sheet([*tiles, (text, bar)], columns=max(3, 1 + len(self.overlays)))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the sheet as PNG, over one that is there; nothing where no method gave a result.

        Raises:
            OutputError: it cannot be written.
        """
        if self.errors:
            sheet = self.draw()
            io.write_atomic(path, lambda file: sheet.save(file, format="PNG"), overwrite=True)

    def _upright(self, picture: Tensor) -> Tensor:
        return upright(picture, self.frame.camera.orientation)


def _enlarged(picture: Tensor, zoom: int) -> Tensor:
    return picture.repeat_interleave(zoom, -1).repeat_interleave(zoom, -2)

"""The default: gains interpolated by one small radial-basis system a block; nothing trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..decoder import Decoder, Guide, LocalRBFSetting
from ..frame import Frame, Reconstructor
from ..networks.shipped import shipped_features
from .inputs import picture_and_samples

if TYPE_CHECKING:
    from ..networks import FeatureNetwork

__all__ = ["LocalRBFReconstructor"]


class LocalRBFReconstructor(Reconstructor):
    """Interpolates gains, block by block, in position, color and surroundings.

    Samples that bring a model of their own are interpolated by that, and their enhancement, if
    they have one, is added. See :class:`isp_meta.decoder.Decoder`.

    Args:
        neighbors: samples in each block's system, 1 to 96.
        trials: samples left out, one by one, to choose the setting; 0 takes the first candidate.
        setting: use this one instead of choosing; where samples are too few for its first guess,
            with the cubic.
        features: trained, for a first guess more, which is tried as the others are.

    Attributes:
        chosen: the setting of the latest picture, None before.

    Raises:
        ValueError: an argument out of range.
    """

    takes_controls = True

    def __init__(
        self,
        neighbors: int = 36,
        trials: int = 16384,
        setting: LocalRBFSetting | None = None,
        features: FeatureNetwork | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= neighbors <= 96 or trials < 0:
            raise ValueError("neighbors must be 1 to 96, trials >= 0")
        self.neighbors, self.trials, self.setting = neighbors, trials, setting
        self.features = features
        self.chosen: LocalRBFSetting | None = None

    @classmethod
    def shipped(cls) -> LocalRBFReconstructor:
        """With the features that ship: what recovery takes by default."""
        return cls(features=shipped_features())

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in [0, 1], equal to measured samples at their pixels.

        Raises:
            ValueError: the frame holds no sample, or samples of a picture of another size.
        """
        srgb, samples = picture_and_samples(frame, "LocalRBFReconstructor", controls=True)
        decoder = Decoder.of(
            Guide(srgb),
            samples,
            features=self.features,
            setting=self.setting,
            neighbors=self.neighbors,
            trials=self.trials,
            cfa=frame.camera.cfa,
        )
        self.chosen = decoder.setting
        return decoder.raw(last=True)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        choice = f"trials={self.trials}" if self.setting is None else f"setting={self.setting}"
        return f"neighbors={self.neighbors}, {choice}"

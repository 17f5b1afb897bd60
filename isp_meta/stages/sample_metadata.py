"""The stage that keeps raw pixels."""

from __future__ import annotations

from torch import Tensor

from ..frame import Frame, Sampler
from ..stage import Stage

__all__ = ["SampleMetadata"]


class SampleMetadata(Stage):
    """Lets a sampler choose the raw pixels to keep, from the raw and the finished picture.

        raw ──┐
              ├──▶ sampler ──▶ samples
        srgb ─┘

    Place it last, so that the sampler sees the picture as the file will hold it.

    Args:
        sampler: what it needs, this stage needs.

    Raises:
        TypeError: no Sampler.

    Source: Nam et al., CVPR 2022, Fig. 2.
    """

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        if not isinstance(sampler, Sampler):
            raise TypeError(f"SampleMetadata takes a Sampler, not {type(sampler).__name__}")
        self.sampler = sampler
        self.needs, self.gives = sampler.needs, sampler.gives

    def forward(self, frame: Frame) -> Frame:
        """Fills ``samples``.

        Raises:
            PipelineOrderError: a field that the sampler needs is still empty.
            ValueError: a batch.
        """
        for name in sorted(self.needs):
            picture = frame.require(name, by="SampleMetadata")
            if isinstance(picture, Tensor) and picture.dim() != 3:
                raise ValueError(
                    f"SampleMetadata takes one picture, since samples are of one; {name} is "
                    f"{tuple(picture.shape)}"
                )
        return frame.replace(samples=self.sampler(frame))

"""What every reconstructor asks of the frame before it starts."""

from __future__ import annotations

from torch import Tensor

from ..frame import Frame
from ..samples import Samples

__all__ = ["check_values", "picture_and_samples"]


def check_values(samples: Samples, by: str) -> None:
    """Refuses control values, which are no raw.

    Args:
        by: who needs measured ones, for the error's text.

    Raises:
        ValueError: the samples have control values.
    """
    if samples.control:
        raise ValueError(
            f"{by} needs measured values; these are control values, which LocalRBFReconstructor "
            'alone reads: embed with values="measured"'
        )


def picture_and_samples(frame: Frame, by: str, *, controls: bool = False) -> tuple[Tensor, Samples]:
    """The frame's sRGB picture and samples that fit it.

    Args:
        frame: with ``srgb`` and ``samples``.
        by: who asks, for the error's text.
        controls: whether control values, which are no raw, will do beside their model.

    Returns:
        srgb, (3, H, W), and at least one sample of an H x W picture.

    Raises:
        PipelineOrderError: a field is empty. ValueError: no sample, a picture of another
        size, or control values where measured ones are needed.
    """
    srgb: Tensor = frame.require("srgb", by)
    samples: Samples = frame.require("samples", by)
    _, height, width = srgb.shape
    if (samples.height, samples.width) != (height, width):
        raise ValueError(
            f"samples of a {samples.width}x{samples.height} picture do not fit "
            f"one of {width}x{height}"
        )
    if not len(samples):
        raise ValueError("cannot reconstruct from no samples")
    if not controls:
        check_values(samples, by)
    return srgb, samples

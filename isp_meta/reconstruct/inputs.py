"""What every reconstructor asks of the frame before it starts."""

from __future__ import annotations

from torch import Tensor

from ..frame import Frame, Samples

__all__ = ["picture_and_samples"]


def picture_and_samples(frame: Frame, by: str, *, control: bool = False) -> tuple[Tensor, Samples]:
    """The frame's sRGB picture and samples that fit it.

    Args:
        frame: with ``srgb`` and ``samples``.
        by: who asks, for the error's text.
        control: whether control values will do, which are no raw.

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
    if samples.control and not control:
        raise ValueError(
            f"{by} needs measured values; these are controls, made for LocalRBFReconstructor"
        )
    return srgb, samples

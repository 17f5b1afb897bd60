"""What every reconstructor asks of the frame before it starts."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..frame import Frame
from ..samples import Samples

__all__ = ["picture_and_samples"]


def picture_and_samples(
    frame: Frame, by: str, *, made_for: Callable[[], str] | None = None
) -> tuple[Tensor, Samples]:
    """The frame's sRGB picture and samples that fit it.

    Args:
        frame: with ``srgb`` and ``samples``.
        by: who asks, for the error's text.
        made_for: what control values, which are no raw, must be made for; None: none will do.

    Returns:
        srgb, (3, H, W), and at least one sample of an H x W picture.

    Raises:
        PipelineOrderError: a field is empty. ValueError: no sample, a picture of another
        size, or control values made for something else.
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
    if samples.control and (made_for is None or made_for() != samples.made_for):
        needed = "measured values" if made_for is None else "measured values, or its own controls"
        others = samples.made_for or "LocalRBFReconstructor"
        raise ValueError(f"{by} needs {needed}; these are controls, made for {others}")
    return srgb, samples

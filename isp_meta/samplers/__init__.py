"""Which raw pixels to keep: Frame with raw and srgb in, :class:`isp_meta.Samples` out."""

from .random import RandomSampler
from .superpixel import SuperpixelSampler
from .uniform import UniformSampler

__all__ = ["RandomSampler", "SuperpixelSampler", "UniformSampler"]

"""Which raw pixels to keep: Frame with raw and srgb in, :class:`isp_meta.Samples` out."""

from .choice import Choice
from .free_form import FreeFormSampler
from .learned import LearnedSampler
from .random import RandomSampler
from .superpixel import SuperpixelSampler
from .uniform import UniformSampler

__all__ = [
    "Choice",
    "FreeFormSampler",
    "LearnedSampler",
    "RandomSampler",
    "SuperpixelSampler",
    "UniformSampler",
]

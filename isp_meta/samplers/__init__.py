"""Which raw pixels to keep: Frame with raw and srgb in, :class:`isp_meta.Samples` out."""

from .choice import Choice
from .free_form import FreeFormSampler
from .largest_error import LargestErrorSampler
from .learned import LearnedSampler
from .random import RandomSampler
from .superpixel import SuperpixelSampler
from .typical_error import TypicalErrorSampler
from .uniform import UniformSampler

__all__ = [
    "Choice",
    "FreeFormSampler",
    "LargestErrorSampler",
    "LearnedSampler",
    "RandomSampler",
    "SuperpixelSampler",
    "TypicalErrorSampler",
    "UniformSampler",
]

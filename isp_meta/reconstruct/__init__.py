"""From the JPEG's pixels and the kept samples back to linear raw-RGB."""

from .bit_depth import BitDepthReconstructor, GuidedBitDepthReconstructor
from .features import FeatureReconstructor
from .local_rbf import LocalRBFReconstructor
from .residual_unet import ResidualUNetReconstructor
from .trainable import Online, TrainableReconstructor
from .unet import UNetReconstructor

__all__ = [
    "BitDepthReconstructor",
    "FeatureReconstructor",
    "GuidedBitDepthReconstructor",
    "LocalRBFReconstructor",
    "Online",
    "ResidualUNetReconstructor",
    "TrainableReconstructor",
    "UNetReconstructor",
]

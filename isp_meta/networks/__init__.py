"""Networks that samplers and reconstructors are built on, and how to run them on any picture.

They know pictures as tensors, (B, C, H, W), and nothing of frames, cameras or files.
"""

from .depth import DepthNetwork
from .features import FeatureNetwork
from .published import load_published
from .tiles import Window, run_tiled
from .unet import UNet

__all__ = [
    "DepthNetwork",
    "FeatureNetwork",
    "UNet",
    "Window",
    "load_published",
    "run_tiled",
]

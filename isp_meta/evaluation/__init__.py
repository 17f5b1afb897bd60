"""How near a recovered picture comes to the true one: figures and pictures."""

from .compare import Comparison, compare
from .metrics import psnr, ssim
from .pictures import error_map, sample_overlay

__all__ = ["Comparison", "compare", "error_map", "psnr", "sample_overlay", "ssim"]

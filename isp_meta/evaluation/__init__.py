"""How near a recovered picture comes to the true one: figures and pictures."""

from .compare import Comparison, compare
from .metrics import psnr, ssim
from .pictures import contact_sheet, error_map, sample_overlay, stage_pictures, upright

__all__ = [
    "Comparison",
    "compare",
    "contact_sheet",
    "error_map",
    "psnr",
    "sample_overlay",
    "ssim",
    "stage_pictures",
    "upright",
]

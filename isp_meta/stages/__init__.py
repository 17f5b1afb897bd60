"""The steps from sensor codes to a finished picture: one file a stage.

    codes ──BlackLevel──▶ mosaic ──Demosaic──▶ raw ──WhiteBalance──▶ rgb
          ──ColorMatrix──▶ rgb ──ToneCurve──▶ rgb ──Gamma──▶ srgb ──Quantize──▶ srgb

Each is a thin :class:`isp_meta.frame.Stage` over a pure function that lies beside it.
"""

from .black_level import BlackLevel, black_level
from .color_matrix import ColorMatrix, camera_to_srgb, color_matrix
from .demosaic import Demosaic, demosaic
from .gamma import Gamma, srgb_decode, srgb_encode
from .quantize import Quantize, quantize
from .sample_metadata import SampleMetadata
from .tone_curve import ToneCurve, filmic, tone_curve
from .white_balance import WhiteBalance, as_shot_gains, white_balance

__all__ = [
    "BlackLevel",
    "ColorMatrix",
    "Demosaic",
    "Gamma",
    "Quantize",
    "SampleMetadata",
    "ToneCurve",
    "WhiteBalance",
    "as_shot_gains",
    "black_level",
    "camera_to_srgb",
    "color_matrix",
    "demosaic",
    "filmic",
    "quantize",
    "srgb_decode",
    "srgb_encode",
    "tone_curve",
    "white_balance",
]

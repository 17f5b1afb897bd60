"""The steps from sensor codes to a finished picture: one file a stage.

    codes ──BlackLevel──▶ mosaic ──Demosaic──▶ raw ──WhiteBalance──▶ rgb
          ──ColorMatrix──▶ rgb ──ToneCurve──▶ rgb ──Gamma──▶ srgb ──Quantize──▶ srgb

Each is a thin :class:`isp_meta.stage.Stage` over a pure function that lies beside it.
"""

from .black_level import BlackLevel, black_level
from .color_matrix import ColorMatrix, camera_to_srgb, color_matrix
from .color_space import CameraToWorking, WorkingToDisplay, compress_gamut
from .defect_detection import detect_defects
from .defective_pixels import DefectivePixels, defective_pixels
from .demosaic import Demosaic, demosaic
from .exposure import Exposure, exposure
from .gamma import Gamma, decode, encode, srgb_decode, srgb_encode
from .highlights import (
    HighlightCompression,
    HighlightReconstruction,
    compress_highlights,
    reconstruct_highlights,
)
from .hue_saturation import HueSaturationMap, LookTable, Saturation, hue_saturation_map, saturation
from .jpeg import Jpeg, jpeg
from .lens_shading import LensShading, Vignette, lens_shading, vignette
from .linearize import Linearize, linearize
from .local_tone import LocalToneMapping, local_tone_mapping
from .noise import SensorNoise, add_noise, noisy_codes
from .noise_reduction import (
    MosaicNoiseReduction,
    NoiseReduction,
    mosaic_noise_reduction,
    noise_reduction,
)
from .quantize import Quantize, quantize
from .sample_metadata import SampleMetadata
from .sharpening import Sharpening, sharpen
from .tone_curve import ToneCurve, filmic, tone_curve
from .white_balance import GrayWorld, WhiteBalance, as_shot_gains, gray_world, white_balance

__all__ = [
    "BlackLevel",
    "CameraToWorking",
    "ColorMatrix",
    "DefectivePixels",
    "Demosaic",
    "Exposure",
    "Gamma",
    "GrayWorld",
    "HighlightCompression",
    "HighlightReconstruction",
    "HueSaturationMap",
    "Jpeg",
    "LensShading",
    "Linearize",
    "LocalToneMapping",
    "LookTable",
    "MosaicNoiseReduction",
    "NoiseReduction",
    "Quantize",
    "SampleMetadata",
    "Saturation",
    "SensorNoise",
    "Sharpening",
    "ToneCurve",
    "Vignette",
    "WhiteBalance",
    "WorkingToDisplay",
    "add_noise",
    "as_shot_gains",
    "black_level",
    "camera_to_srgb",
    "color_matrix",
    "compress_gamut",
    "compress_highlights",
    "decode",
    "defective_pixels",
    "demosaic",
    "detect_defects",
    "encode",
    "exposure",
    "filmic",
    "gray_world",
    "hue_saturation_map",
    "jpeg",
    "lens_shading",
    "linearize",
    "local_tone_mapping",
    "mosaic_noise_reduction",
    "noise_reduction",
    "noisy_codes",
    "quantize",
    "reconstruct_highlights",
    "saturation",
    "sharpen",
    "srgb_decode",
    "srgb_encode",
    "tone_curve",
    "vignette",
    "white_balance",
]

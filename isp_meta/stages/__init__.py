"""The steps from sensor codes to a finished picture: one file a stage.

    codes ──BlackLevel──▶ mosaic ──Demosaic──▶ raw ──WhiteBalance──▶ rgb
          ──ColorMatrix──▶ rgb ──ToneCurve──▶ rgb ──Gamma──▶ srgb ──Quantize──▶ srgb

Each is a thin :class:`isp_meta.stage.Stage` over a pure function that lies beside it.
"""

from .auto_exposure import AutoExposure, metered_stops
from .auto_white_balance import AutoWhiteBalance, light_of_edges, light_of_extremes
from .bilateral_grid import BilateralGrid, bilateral_grid, identity_grid
from .black_level import BlackLevel, black_level
from .chromatic_aberration import ChromaticAberration, chromatic_aberration, lateral_color
from .color_matrix import ColorMatrix, camera_to_srgb, color_matrix
from .color_space import CameraToWorking, WorkingToDisplay, compress_gamut
from .cube_file import cube_text, read_cube
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
from .lens_warp import LensWarp, lens_warp
from .linearize import Linearize, linearize
from .local_tone import LocalToneMapping, local_tone_mapping
from .lut3d import Lut3D, identity_lut, lut3d
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
    "AutoExposure",
    "AutoWhiteBalance",
    "BilateralGrid",
    "BlackLevel",
    "CameraToWorking",
    "ChromaticAberration",
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
    "LensWarp",
    "Linearize",
    "LocalToneMapping",
    "LookTable",
    "Lut3D",
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
    "bilateral_grid",
    "black_level",
    "camera_to_srgb",
    "chromatic_aberration",
    "color_matrix",
    "compress_gamut",
    "compress_highlights",
    "cube_text",
    "decode",
    "defective_pixels",
    "demosaic",
    "detect_defects",
    "encode",
    "exposure",
    "filmic",
    "gray_world",
    "hue_saturation_map",
    "identity_grid",
    "identity_lut",
    "jpeg",
    "lateral_color",
    "lens_shading",
    "lens_warp",
    "light_of_edges",
    "light_of_extremes",
    "linearize",
    "local_tone_mapping",
    "lut3d",
    "metered_stops",
    "mosaic_noise_reduction",
    "noise_reduction",
    "noisy_codes",
    "quantize",
    "read_cube",
    "reconstruct_highlights",
    "saturation",
    "sharpen",
    "srgb_decode",
    "srgb_encode",
    "tone_curve",
    "vignette",
    "white_balance",
]

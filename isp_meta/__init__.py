"""A JPEG that still carries its raw.

isp_meta.embed("photo.dng", "photo.jpg")    # renders, samples about 1.5 % of the raw, embeds
frame = isp_meta.recover("photo.jpg")       # frame.raw: (3, H, W), linear
isp_meta.write_dng("recovered.dng", frame)
"""

from . import ops, presets, reconstruct, samplers, stages
from .camera import Camera
from .capture import Embedded, embed
from .errors import IspMetaError
from .fitting import Fit, fit
from .frame import Frame, Reconstructor, Sampler, Samples
from .io import read_raw, write_dng
from .pipeline import Pipeline
from .rate import Rate
from .recover import Metadata, read_metadata, recover
from .stage import Stage
from .transfer import attach, extract, strip
from .unprocessing import unprocess

__version__ = "0.1.0"

__all__ = [
    "Camera",
    "Embedded",
    "Fit",
    "Frame",
    "IspMetaError",
    "Metadata",
    "Pipeline",
    "Rate",
    "Reconstructor",
    "Sampler",
    "Samples",
    "Stage",
    "attach",
    "embed",
    "extract",
    "fit",
    "ops",
    "presets",
    "read_metadata",
    "read_raw",
    "reconstruct",
    "recover",
    "samplers",
    "stages",
    "strip",
    "unprocess",
    "write_dng",
]

"""Pictures to look at: stages side by side, samples, superpixels, errors."""

from .drawing import contact_sheet, error_map, sample_overlay, stage_pictures, tensor_of
from .error_maps import ErrorMaps, round_scale
from .superpixels import part_of, superpixel_map, superpixel_overlay

__all__ = [
    "ErrorMaps",
    "contact_sheet",
    "error_map",
    "part_of",
    "round_scale",
    "sample_overlay",
    "stage_pictures",
    "superpixel_map",
    "superpixel_overlay",
    "tensor_of",
]

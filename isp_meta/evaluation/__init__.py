"""How near a recovered picture comes to the true one: figures, pictures, benchmarks."""

from .benchmark import Benchmark, benchmark
from .compare import Comparison, compare
from .fidelity import Fidelity, measure
from .maps import ErrorMaps, round_scale
from .methods import Method, shipped, training_free
from .metrics import psnr, ssim
from .pictures import contact_sheet, error_map, sample_overlay, stage_pictures, tensor_of
from .renderings import FileInput, Rendering, local_tone
from .results import Results
from .stops import Stop, stops
from .superpixels import part_of, superpixel_map, superpixel_overlay
from .tables import tables
from .trained import Weights

__all__ = [
    "Benchmark",
    "Comparison",
    "ErrorMaps",
    "Fidelity",
    "FileInput",
    "Method",
    "Rendering",
    "Results",
    "Stop",
    "Weights",
    "benchmark",
    "compare",
    "contact_sheet",
    "error_map",
    "local_tone",
    "measure",
    "part_of",
    "psnr",
    "round_scale",
    "sample_overlay",
    "ssim",
    "stage_pictures",
    "stops",
    "superpixel_map",
    "superpixel_overlay",
    "tables",
    "tensor_of",
    "shipped",
    "training_free",
]

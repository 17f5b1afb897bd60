"""Methods compared on scenes: renderings, stored bits, figures, tables."""

from .benchmark import Benchmark, benchmark
from .methods import Method, shipped, training_free
from .renderings import FileInput, Rendering
from .results import Results
from .tables import tables
from .trained import Weights

__all__ = [
    "Benchmark",
    "FileInput",
    "Method",
    "Rendering",
    "Results",
    "Weights",
    "benchmark",
    "tables",
    "shipped",
    "training_free",
]

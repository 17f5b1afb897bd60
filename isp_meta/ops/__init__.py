"""Superpixels on a grid of cells, differentiable, native on CPU and CUDA.

    logits ──associate──▶ q ──┬─aggregate──▶ centers ──distribute──▶ pixels
    features ─associate_features─┘ └─argmax_pool──▶ index, sample_mask ──▶ mask
    logits, srgb, raw ──superpixel_loss──▶ loss, index: all of it at once, for training

:mod:`isp_meta.ops.reference` defines every op in plain PyTorch. Results are the same to the bit for
any number of threads.
"""

from .aggregate import aggregate, distribute
from .argmax_pool import argmax_pool
from .associate import associate
from .associate_features import associate_features
from .sample_mask import sample_mask
from .superpixel_loss import superpixel_loss

__all__ = [
    "aggregate",
    "argmax_pool",
    "associate",
    "associate_features",
    "distribute",
    "sample_mask",
    "superpixel_loss",
]

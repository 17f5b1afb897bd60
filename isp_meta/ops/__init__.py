"""Superpixels on a grid of cells, differentiable; interpolation of samples. Native on CPU and CUDA.

    logits ──associate──▶ q ──┬─aggregate──▶ centers ──distribute──▶ pixels
    features ─associate_features─┘ └─argmax_pool──▶ index, sample_mask ──▶ mask
    logits, srgb, raw ──superpixel_loss──▶ loss: all but the samples at once, for training

    guide, samples ──local_rbf──▶ pixels;  samples ──local_rbf_leave_one_out──▶ predictions
    guide, samples, guess, truth ──local_rbf_equations──▶ what the samples should be
    samples' places ──nearest_samples──▶ their numbers
    srgb, weights ──first_guess──▶ raw, about;  srgb ──guess_features──▶ what it weighs
    raw, srgb, weights ──adaptive_filter──▶ raw;  raw, srgb ──filter_features──▶ what it weighs

:mod:`isp_meta.ops.reference` defines every op in plain PyTorch. Results are the same to the bit for
any number of threads.
"""

from .adaptive_filter import adaptive_filter, filter_features
from .aggregate import aggregate, distribute
from .argmax_pool import argmax_pool
from .associate import associate
from .associate_features import associate_features
from .first_guess import FineLayers, first_guess, guess_features
from .local_rbf import RadialBasis, local_rbf, local_rbf_leave_one_out
from .local_rbf_equations import local_rbf_equations
from .nearest_samples import Buckets, nearest_samples
from .sample_mask import sample_mask
from .superpixel_loss import superpixel_loss

__all__ = [
    "Buckets",
    "FineLayers",
    "RadialBasis",
    "adaptive_filter",
    "aggregate",
    "argmax_pool",
    "associate",
    "associate_features",
    "distribute",
    "filter_features",
    "first_guess",
    "guess_features",
    "local_rbf",
    "local_rbf_equations",
    "local_rbf_leave_one_out",
    "nearest_samples",
    "sample_mask",
    "superpixel_loss",
]

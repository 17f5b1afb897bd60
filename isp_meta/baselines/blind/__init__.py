"""Bit-depth expansion from the picture of few bits alone: what stored samples are compared with."""

from collections.abc import Callable

from torch import Tensor

from .acdc import acdc
from .codes import bin_middle, bit_replication, check_codes, ideal_gain, zero_padding
from .contours import content_adaptive, contour_reconstruction

__all__ = [
    "BLIND",
    "acdc",
    "bin_middle",
    "bit_replication",
    "check_codes",
    "content_adaptive",
    "contour_reconstruction",
    "ideal_gain",
    "zero_padding",
]

BLIND: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "zero padding": zero_padding,
    "bit replication": bit_replication,
    "ideal gain": ideal_gain,
    "middle of the bin": bin_middle,
    "contour region reconstruction": contour_reconstruction,
    "content adaptive": content_adaptive,
    "ACDC": acdc,
}
"""Display names and their functions: (codes, bits, true_bits) -> codes of true_bits."""

"""What a picture of few bits is, and the guesses that look at one sample at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from ...bit_depth.bins import replicate

__all__ = ["bin_middle", "bit_replication", "check_codes", "ideal_gain", "low_end", "zero_padding"]

_MOST_BITS = 31


def check_codes(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """The codes as int64, if they are (C, H, W) integers of so many bits.

    Raises:
        ValueError: not 1 <= bits <= true_bits <= 31, another shape, no pixels, or a code outside
            [0, 2^bits - 1]. TypeError: codes that are no integers.
    """
    if not 1 <= bits <= true_bits <= _MOST_BITS:
        raise ValueError(f"bits {bits} and true_bits {true_bits} must be 1 <= bits <= true_bits")
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise TypeError(f"codes must be integers, not {codes.dtype}")
    if codes.ndim != 3 or not codes.numel():
        raise ValueError(f"codes must be (C, H, W) with pixels, not {tuple(codes.shape)}")
    codes = codes.long()
    low, high = codes.aminmax()
    if low < 0 or high >> bits:
        raise ValueError(f"codes run from {int(low)} to {int(high)}, beyond {bits} bits")
    return codes


def low_end(codes: Tensor, missing: int) -> Tensor:
    """q 2^missing, where the bins of the codes begin."""
    low: Tensor = codes << missing
    return low


def zero_padding(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """q 2^n, n = true_bits - bits: the missing bits are 0, the low end of the bin.

    Args:
        codes: (C, H, W), integers in [0, 2^bits - 1]. bits, true_bits: 1 <= bits <= true_bits.

    Returns:
        (C, H, W) int64 in [0, 2^true_bits - 1].

    Raises:
        ValueError, TypeError: as :func:`check_codes`.
    """
    return low_end(check_codes(codes, bits, true_bits), true_bits - bits)


def bit_replication(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """The bits of q over and over, from the highest on, cut off at true_bits.

    Arguments, returns and errors as :func:`zero_padding`.

    Source: Ulichney and Cheung, Pixel bit-depth increase by bit replication, *Proc. SPIE* 3300,
    1998.
    """
    return replicate(check_codes(codes, bits, true_bits), bits, true_bits).long()


def ideal_gain(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """round(q (2^true_bits - 1) / (2^bits - 1)), halves up: black to black and white to white.

    Arguments, returns and errors as :func:`zero_padding`.
    """
    codes = check_codes(codes, bits, true_bits)
    white, true_white = 2**bits - 1, 2**true_bits - 1
    gained: Tensor = (2 * codes * true_white + white) // (2 * white)
    return gained


def bin_middle(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """(q + 1/2) 2^n, n = true_bits - bits: of least error where every code of a bin is as likely.

    Arguments, returns and errors as :func:`zero_padding`.
    """
    missing = true_bits - bits
    return low_end(check_codes(codes, bits, true_bits), missing) + (1 << missing) // 2

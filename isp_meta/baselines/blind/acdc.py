"""Bit depth by the smoothest signal that the bins leave likely (ACDC)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .codes import check_codes, low_end

__all__ = ["acdc"]

_BLOCK = 64
_OVERLAP = 16
_VARIANCE = 6000.0  # σ²: of the prior of a block, in squared bin widths
_BLOCKS_AT_ONCE = 6  # so that what is iterated over stays in cache
_HALVINGS = 6
_STEPS = 30
_LAST_STEPS = 60


def _laplacian(values: Tensor, right: Tensor, below: Tensor) -> Tensor:
    """(B, C, S, S): L x of blocks, from the weights of the edges to the right and below."""
    result = torch.zeros_like(values)
    across = right * (values[..., :-1] - values[..., 1:])
    result[..., :-1] += across
    result[..., 1:] -= across
    across = below * (values[..., :-1, :] - values[..., 1:, :])
    result[..., :-1, :] += across
    result[..., 1:, :] -= across
    return result


def _smooth(
    pull: Tensor, error: Tensor, half: Tensor, edges: tuple[Tensor, Tensor], steps: int
) -> Tensor:
    """e with |e| <= half that makes (y + e)ᵀ L (y + e) least, by accelerated projected gradients.

    Args:
        pull: L y. error: where to begin. edges: see :func:`_laplacian`.

    Source: Beck and Teboulle, *SIAM J. Imaging Sci.* 2(1), 2009; no eigenvalue of L exceeds 8.
    """
    error = torch.minimum(torch.maximum(error, -half), half)
    ahead, momentum = error, 1.0
    for _ in range(steps):
        moved = ahead - (pull + _laplacian(ahead, *edges)) / 8
        moved = torch.minimum(torch.maximum(moved, -half), half)
        following = (1 + (1 + 4 * momentum * momentum) ** 0.5) / 2
        ahead = moved + (moved - error) * ((momentum - 1) / following)
        error, momentum = moved, following
    return error


def _solve(codes: Tensor) -> Tensor:
    """(B, C, S, S): how far signals are from the middles of their bins, in bin widths.

    The likeliest half width h is where the gain in smoothness of a wider box, which the
    multipliers of its active sides tell, meets the loss of likelihood.

    Args:
        codes: (B, C, S, S), blocks.
    """
    right, below = _edges(codes)
    pull = _laplacian(codes, right, below).float()
    edges = (right.float(), below.float())
    low = pull.new_zeros((*pull.shape[:2], 1, 1))
    high = torch.full_like(low, 0.5)
    error = torch.zeros_like(pull)
    for _ in range(_HALVINGS):
        half = (low + high) / 2
        error = _smooth(pull, error, half, edges, _STEPS)
        force = (pull + _laplacian(error, *edges)).abs() * (error.abs() >= half)
        wider = 2 * force.sum((-2, -1), keepdim=True) / _VARIANCE > 4 * half
        low, high = torch.where(wider, half, low), torch.where(wider, high, half)
    return _smooth(pull, error, (low + high) / 2, edges, _LAST_STEPS)


def _edges(codes: Tensor) -> tuple[Tensor, Tensor]:
    """1 where two neighbors are at most a bin apart in every channel, else 0: right, below."""
    right = codes.diff(dim=-1).abs().amax(1, keepdim=True) <= 1
    below = codes.diff(dim=-2).abs().amax(1, keepdim=True) <= 1
    return right.to(codes), below.to(codes)


def _corners(length: int) -> Iterator[int]:
    """Where blocks begin along a side; the last ends with it."""
    step = _BLOCK - _OVERLAP
    for start in range(0, max(length - _OVERLAP, 1), step):
        yield max(0, min(start, length - _BLOCK))


def _blend(size: int) -> Tensor:
    """(size,): the weight of a block's pixels along a side, falling over the overlap."""
    place = torch.arange(1, size + 1, dtype=torch.float32)
    return torch.minimum(place, size + 1 - place).clamp_(max=_OVERLAP + 1)


def acdc(codes: Tensor, bits: int, true_bits: int) -> Tensor:
    """The AC signal by maximum a posteriori, then the DC of least expected error.

        x_A = argmin x_Aᵀ L x_A / σ² + r² / 2,  r = max(x_A - y) - min(x_A - y) <= 1
        x_D = -(max(x_A - y) + min(x_A - y)) / 2

    of blocks, in bin widths; y = q + 1/2; L: the Laplacian of the graph that joins neighbors
    (of four) whose codes differ by at most 1 in every channel. The bins leave the DC an interval of
    length 1 - r, and x_D is its middle. L is blind to DC, so that x_A + x_D is the smoothest signal
    with |x - y| <= h, at the likeliest h,

        min_h  min_{|x - y| <= h} xᵀ L x / σ² + 2 h²,  h <= 1/2,

    a convex function of h, and this is what is computed, by six halvings of h, to about 0.1 dB.

    Args:
        codes: (C, H, W), integers in [0, 2^bits - 1].
        bits, true_bits: 1 <= bits <= true_bits.

    Returns:
        (C, H, W) int64 in the bins of the codes.

    Raises:
        ValueError, TypeError: as :func:`isp_meta.baselines.blind.check_codes`.

    Source: Wan, Cheung, Florencio, Zhang and Au, Image bit-depth enhancement via maximum a
    posteriori estimation of AC signal, *IEEE Trans. Image Process.* 25(6), 2016. Taken here: r² / 2
    for the likelihood's -log(1 - r), whose slope at 0 would leave pictures with few contours as
    they are; weights of 1; σ² = 6000 in squared bin widths, so that it means the same at any depth,
    the best of five by PSNR on eight photographs; blocks of 64 x 64, each alone, blended over 16
    pixels.
    """
    codes = check_codes(codes, bits, true_bits)
    _, height, width = codes.shape
    tall, wide = min(height, _BLOCK), min(width, _BLOCK)
    corners = [(top, left) for top in _corners(height) for left in _corners(width)]
    total = torch.zeros_like(codes, dtype=torch.float32)
    weights = torch.zeros_like(total[:1])
    blend = (_blend(tall)[:, None] * _blend(wide)).to(total)
    for first in range(0, len(corners), _BLOCKS_AT_ONCE):
        some = corners[first : first + _BLOCKS_AT_ONCE]
        blocks = torch.stack([codes[:, y : y + tall, x : x + wide] for y, x in some])
        for (y, x), error in zip(some, _solve(blocks), strict=True):
            total[:, y : y + tall, x : x + wide] += error * blend
            weights[:, y : y + tall, x : x + wide] += blend
    missing = true_bits - bits
    # Codes are the floors of what they stand for.
    low = ((total / weights).double() + 0.5).mul_(2**missing).floor_().long()
    return low_end(codes, missing) + low.clamp_(0, 2**missing - 1)

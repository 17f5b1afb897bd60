"""The values with which the decoder comes nearest to the truth, in place of the measured ones.

Raw is guess times exp of what the systems predict, so near the truth an error of raw is raw times
that of the log-gain. In log-gains the decoder is linear: the best values solve weighted normal
equations, a few small entries a block, by conjugate gradients.

    rows of blocks ─▶ systems ─▶ normal equations a block ─▶ conjugate gradients ─▶ values
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...decoder.guess import LOG_FLOOR, log_gain, times_gain
from ...reconstruct.local_rbf import STORED
from .systems import Systems, in_blocks
from .truth import Decoder

__all__ = ["control_values"]

# Pixels whose normal equations are held at a time, and rows of blocks around them that count too.
_BAND_PIXELS, _HALO = 2_000_000, 8
# Blocks whose systems are set up at a time: what stays in the cache.
_RUN = 256


@dataclass(frozen=True)
class _Equations:
    """Normal equations of some blocks.

    Attributes:
        neighbors: (B, K) samples. matrix: (B, K, K). right: (B, K, 3).
    """

    neighbors: Tensor
    matrix: Tensor
    right: Tensor


def control_values(decoder: Decoder, rounds: int, pool: Executor) -> Iterator[Tensor]:
    """Values for the decoder's samples, better from band to band of the picture.

    Args:
        rounds: of conjugate gradients. pool: of single-core workers.

    Yields:
        (N, 3) in [0, 1].
    """
    picture, side, samples = decoder.picture, decoder.side, decoder.samples
    guess = picture.guesses[STORED].at_samples
    gain = log_gain(picture.value, guess)
    rows = -(-samples.height // side)
    some = max(1, _BAND_PIXELS // (samples.width * side))

    def read(row: int) -> _Equations:
        return _equations(decoder, row)

    line = samples.index // (samples.width * side)
    for top in range(0, rows, some):
        wanted = range(max(0, top - _HALO), min(rows, top + some + _HALO))
        parts = list(pool.map(read, wanted))
        parts_of = zip(*((p.neighbors, p.matrix, p.right) for p in parts), strict=True)
        solved = _solve(_Equations(*map(torch.cat, parts_of)), gain, rounds)
        # The last rows' neighbors are not all there yet.
        final = (line >= top) & (line < top + some) & solved.isfinite().all(1)
        gain[final] = solved[final]
        yield times_gain(guess.clone(), gain.clone())


def _equations(decoder: Decoder, row: int) -> _Equations:
    """Of a row of blocks."""
    raw, counts = decoder.truth.raw, decoder.truth.counts
    picture, setting, side = decoder.picture, decoder.setting, decoder.side
    top, bottom = row * side, min(raw.shape[1], (row + 1) * side)
    truth, guess = raw[:, top:bottom], picture.guesses[STORED].rows(top, bottom)
    weight = (truth + LOG_FLOOR).square().mean(0, keepdim=True)
    if counts is not None:
        weight *= counts[top:bottom]
    height, width = truth.shape[1:]
    y = torch.arange(top, bottom).to(raw)[:, None].expand(height, width)
    x = torch.arange(width).to(raw).expand(height, width)
    parts = torch.cat([torch.stack([y, x]), picture.guide(top, bottom), log_gain(truth, guess)])
    # Outside the picture blocks weigh nothing.
    missing = (0, -width % side, 0, side - height)
    parts = functional.pad(parts[None], missing, mode="replicate")[0]
    weight = in_blocks(functional.pad(weight, missing), side)[..., 0]
    pixels, target = torch.split(in_blocks(parts, side), [7, 3], 2)
    across = torch.arange(len(pixels)).to(raw) * side + (side - 1) / 2
    center = torch.stack([across.new_full(across.shape, top + (side - 1) / 2), across], 1)
    near = picture.nearest(center, decoder.neighbors)
    runs = (torch.split(part, _RUN) for part in (near, pixels, target, weight))
    found = [
        Systems(setting, picture.points[n], p).normal_equations(t, w)
        for n, p, t, w in zip(*runs, strict=True)
    ]
    return _Equations(near, *(torch.cat(part) for part in zip(*found, strict=True)))


def _solve(equations: _Equations, start: Tensor, rounds: int) -> Tensor:
    """(N, 3) values after some rounds of conjugate gradients; of no block's samples the start."""
    flat = equations.neighbors.flatten()

    def gather(parts: Tensor) -> Tensor:
        return torch.zeros_like(start).index_add_(0, flat, parts.flatten(0, 1))

    def times(values: Tensor) -> Tensor:
        return gather(torch.bmm(equations.matrix, values[equations.neighbors]))

    diagonal = equations.matrix.diagonal(dim1=1, dim2=2)
    scale = gather(diagonal[..., None].expand(-1, -1, 3))
    scale = scale + 1e-3 * scale[flat].mean() + 1e-12
    # Rounding may leave the matrices a little indefinite; staying near the start makes up for it.
    near = 1e-3 * scale
    values = start.clone()
    rest = gather(equations.right) - times(values)
    step = rest / scale
    descent = (rest * step).sum(0)
    for _ in range(rounds):
        product = times(step) + near * step
        curvature = (step * product).sum(0)
        length = torch.where(curvature > 0, descent / curvature, 0)
        values += length * step
        rest -= length * product
        scaled = rest / scale
        previous, descent = descent, (rest * scaled).sum(0)
        step = scaled + torch.where(previous > 0, descent / previous, 0) * step
    return values

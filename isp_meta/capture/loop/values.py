"""The values with which the decoder comes nearest to the truth, in place of the measured ones.

Raw is guess times exp of what the systems predict. Linearized about what the measured values give,
the best log-gains solve weighted normal equations, a few small entries a block, by conjugate
gradients: a step of Gauss and Newton. Raw is linearized and weighed by the prediction, not by the
truth: a logarithm, or a weight, that knows the truth's noise would prefer what is too dark, or too
bright.

    rows of blocks ─▶ systems ─▶ normal equations a block ─▶ conjugate gradients ─▶ values
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ...decoder import Decoder
from ...decoder.guess import log_gain, times_gain
from ...decoder.systems import block_sums
from ...ops import local_rbf_equations
from ...processors.workers import workers
from .blocks import Blocks

__all__ = ["control_values"]

# Pixels whose normal equations are held at a time, and rows of blocks around them that count too.
_BAND_PIXELS, _HALO = 2_000_000, 8
# Rows of blocks that a worker takes at a time.
_ROWS = 8


@torch.no_grad()
def control_values(
    decoder: Decoder, raw: Tensor, rounds: int, counts: Tensor | None = None
) -> Iterator[Tensor]:
    """Values for the decoder's samples, better from band to band of the picture.

    Args:
        decoder: of samples with a model of at most 16 neighbors.
        raw: (3, H, W), the truth. rounds: of conjugate gradients.
        counts: (H, W) bool, which pixels are to be met; None: all.

    Yields:
        (N, 3) in [0, 1].
    """
    side, samples = decoder.side, decoder.samples
    guess = decoder.guess.view(3, -1)[:, samples.index].T.contiguous()
    start = _starting_gains(decoder, raw, counts)
    gain = start.clone()
    rows = -(-samples.height // side)
    some = max(1, _BAND_PIXELS // (samples.width * side))

    def work(part: tuple[int, int]) -> tuple[Tensor, Tensor]:
        return _equations(decoder, start, raw, counts, *part)

    line = samples.index // (samples.width * side)
    _ = decoder.points, decoder.nearest  # before several workers ask for them at once
    # (rows, across, K) samples, and (rows, across, K, K + 3) equations, of rows of blocks.
    held: list[tuple[Tensor, Tensor]] = []
    first = end = 0
    with workers() as pool:

        def coming(top: int) -> Iterator[tuple[Tensor, Tensor]]:
            """What a band needs beyond the rows that are worked out by now."""
            stop = min(rows, top + some + _HALO)
            return pool.map(work, pairwise([*range(end, stop, _ROWS), stop]))

        following = coming(0)
        for top in range(0, rows, some):
            begin, end = max(0, top - _HALO), min(rows, top + some + _HALO)
            held += following
            # By the workers, while this thread solves.
            following = coming(top + some) if top + some < rows else iter(())
            parts = (torch.cat(part)[begin - first :] for part in zip(*held, strict=True))
            neighbors, equations = parts
            held, first = [(neighbors, equations)], begin
            solved = _solve(neighbors.flatten(0, 1), equations.flatten(0, 1), gain, rounds)
            # The last rows' neighbors are not all there yet.
            final = (line >= top) & (line < top + some) & solved.isfinite().all(1)
            gain[final] = solved[final]
            yield times_gain(guess.clone(), gain.clone())


def _starting_gains(decoder: Decoder, raw: Tensor, counts: Tensor | None) -> Tensor:
    """(N, 3) log-gains to linearize about: of the means over each sample's block, without noise.

    About a noisy prediction raw is not linear any more: what is met comes out too bright.
    """

    def work(rows: tuple[int, int]) -> Tensor:
        planes = torch.cat([part[:, slice(*rows)] for part in (raw, decoder.guess)])
        weight = torch.ones_like(planes[:1]) if counts is None else counts[None, slice(*rows)]
        return block_sums(torch.cat([planes * weight, weight.to(planes)]), decoder.side)

    true, first, count = torch.split(torch.cat(decoder.each_strip(work), 1), [3, 3, 1])
    blocks = Blocks(raw.shape[1], raw.shape[2], decoder.side)
    gain = log_gain(true / count, first / count).flatten(1)[:, blocks.of(decoder.samples.index)].T
    # Of a block that does not count nothing is known.
    return torch.where(gain.isfinite(), gain, decoder.known).contiguous()


@torch.no_grad()
def _equations(
    decoder: Decoder, start: Tensor, raw: Tensor, counts: Tensor | None, first: int, end: int
) -> tuple[Tensor, Tensor]:
    """Of some rows of blocks, about these log-gains: their samples, and the equations."""
    rows = slice(first * decoder.side, end * decoder.side)
    guide, points, neighbors = decoder.systems(rows.start, min(rows.stop, raw.shape[1]))
    weight = None if counts is None else counts[None, None, rows].to(raw)
    planes = decoder.guess[None, :, rows], raw[None, :, rows], weight
    basis = decoder.setting.basis
    found = local_rbf_equations(guide, points, start, neighbors, decoder.side, basis, *planes)
    return neighbors[0], found[0]


def _solve(neighbors: Tensor, equations: Tensor, start: Tensor, rounds: int) -> Tensor:
    """(N, 3) values after some rounds of conjugate gradients; of no block's samples the start.

    Args:
        neighbors: (B, K) samples. equations: (B, K, K + 3) of them, matrices and right-hand sides.
    """
    flat, size = neighbors.flatten(), neighbors.shape[1]
    matrix, right = equations[..., :size], equations[..., size:]

    def gather(parts: Tensor) -> Tensor:
        return torch.zeros_like(start).index_add_(0, flat, parts.flatten(0, 1))

    def times(values: Tensor) -> Tensor:
        return gather(torch.bmm(matrix, values[neighbors]))

    diagonal = matrix.diagonal(dim1=1, dim2=2)
    scale = gather(diagonal[..., None].expand(-1, -1, 3))
    # Dark samples weigh by their square: they must move, too, and only what weighs nothing stay.
    scale = scale + 1e-6 * scale[flat].mean() + 1e-12
    # Rounding may leave the matrices a little indefinite; staying near the start makes up for it.
    near = 1e-3 * scale
    values = start.clone()
    rest = gather(right) - times(values)
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

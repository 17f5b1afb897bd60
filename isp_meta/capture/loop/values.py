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
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...decoder import Decoder
from ...decoder.guess import LOG_FLOOR, log_gain, times_gain
from ...decoder.systems import shares
from ...workers import workers
from .blocks import Blocks

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

    def read(row: int) -> _Equations:
        return _equations(decoder, start, raw, counts, row)

    line = samples.index // (samples.width * side)
    _ = decoder.points, decoder.nearest  # before several workers ask for them at once
    with workers() as pool:
        for top in range(0, rows, some):
            wanted = range(max(0, top - _HALO), min(rows, top + some + _HALO))
            parts = list(pool.map(read, wanted))
            parts_of = zip(*((p.neighbors, p.matrix, p.right) for p in parts), strict=True)
            solved = _solve(_Equations(*map(torch.cat, parts_of)), gain, rounds)
            # The last rows' neighbors are not all there yet.
            final = (line >= top) & (line < top + some) & solved.isfinite().all(1)
            gain[final] = solved[final]
            yield times_gain(guess.clone(), gain.clone())


def _starting_gains(decoder: Decoder, raw: Tensor, counts: Tensor | None) -> Tensor:
    """(N, 3) log-gains to linearize about: of the means over each sample's block, without noise.

    About a noisy prediction raw is not linear any more: what is met comes out too bright.
    """
    weight = torch.ones_like(raw[0]) if counts is None else counts.to(raw)
    blocks = Blocks(raw.shape[1], raw.shape[2], decoder.side)
    count = blocks.split(weight).sum(1)
    true, first = (
        torch.stack([blocks.split(plane * weight).sum(1) / count for plane in planes])
        for planes in (raw, decoder.guess)
    )
    gain = log_gain(true, first)[:, blocks.of(decoder.samples.index)].T
    # Of a block that does not count nothing is known.
    return torch.where(gain.isfinite(), gain, decoder.known).contiguous()


@torch.no_grad()
def _equations(
    decoder: Decoder, start: Tensor, raw: Tensor, counts: Tensor | None, row: int
) -> _Equations:
    """Of a row of blocks, about what these log-gains of the samples give."""
    guide, basis, side = decoder.guide, decoder.setting.basis, decoder.side
    top, bottom = row * side, min(raw.shape[1], (row + 1) * side)
    truth, guess = raw[:, top:bottom], decoder.guess[:, top:bottom]
    weight = torch.ones_like(truth[:1]) if counts is None else counts[None, top:bottom].to(truth)
    height, width = truth.shape[1:]
    parts = torch.cat([guide.rows(top, bottom), guess, truth])
    # Outside the picture blocks weigh nothing.
    missing = (0, -width % side, 0, side - height)
    parts = functional.pad(parts[None], missing, mode="replicate")[0]
    shown, guess, truth = torch.split(parts, [5, 3, 3])
    weight = _in_blocks(functional.pad(weight, missing), side).flatten(1)
    guess, truth = (_in_blocks(part, side).flatten(2).mT for part in (guess, truth))
    left = torch.arange(len(weight)).to(raw) * side
    corner = torch.stack([left.new_full(left.shape, top), left], 1)
    near = decoder.nearest(corner + (side - 1) / 2, decoder.neighbors)
    blocks = near, corner, _in_blocks(shown, side), guess, truth, weight
    found = []
    for around, at, seen, first, true, counting in zip(
        *(torch.split(part, _RUN) for part in blocks), strict=True
    ):
        share = shares(basis, decoder.points[around], at, seen)
        wanted, far = _linearized(torch.bmm(share, start[around]), first, true)
        # Squared as a whole, so that rounding leaves no matrix indefinite by more than its own
        # precision: conjugate gradients would run away along it.
        weighted = (share * (counting * far)[..., None]).mT
        found.append((torch.bmm(weighted, share), torch.bmm(weighted, wanted)))
    return _Equations(near, *(torch.cat(part) for part in zip(*found, strict=True)))


def _linearized(gain: Tensor, guess: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """What log-gains are to be for raw to be met, and how much missing it matters.

    Args:
        gain: (B, P, 3) log-gains to start from. guess, truth: (B, P, 3) raw.

    Returns:
        (B, P, 3) log-gains and (B, P) weights.
    """
    found = (guess + LOG_FLOOR) * gain.exp()
    missed = (truth + LOG_FLOOR) / found - 1
    # From the double on as the logarithm: the whole step would go too far.
    far = missed.clamp(min=1)
    target = gain + torch.where(missed > 1, 1 + far.log(), missed)
    return target, (found * far).square().mean(2)


def _in_blocks(picture: Tensor, side: int) -> Tensor:
    """(B, C, side, side) of a row of blocks, (C, side, B * side)."""
    channels, _, width = picture.shape
    return picture.view(channels, side, width // side, side).permute(2, 0, 1, 3).contiguous()


def _solve(equations: _Equations, start: Tensor, rounds: int) -> Tensor:
    """(N, 3) values after some rounds of conjugate gradients; of no block's samples the start."""
    flat = equations.neighbors.flatten()

    def gather(parts: Tensor) -> Tensor:
        return torch.zeros_like(start).index_add_(0, flat, parts.flatten(0, 1))

    def times(values: Tensor) -> Tensor:
        return gather(torch.bmm(equations.matrix, values[equations.neighbors]))

    diagonal = equations.matrix.diagonal(dim1=1, dim2=2)
    scale = gather(diagonal[..., None].expand(-1, -1, 3))
    # Dark samples weigh by their square: they must move, too, and only what weighs nothing stay.
    scale = scale + 1e-6 * scale[flat].mean() + 1e-12
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

"""What the native ops mean, in plain PyTorch: short, slow, differentiable, for any device.

Arguments and results as in the functions of the same names in :mod:`isp_meta.ops`.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from .filter_reference import adaptive_filter, filter_features
from .first_guess import FineLayers
from .grid import grid_shape
from .local_rbf import RadialBasis

__all__ = [
    "accumulate",
    "adaptive_filter",
    "aggregate",
    "argmax_pool",
    "associate",
    "associate_features",
    "distribute",
    "filter_features",
    "first_guess",
    "guess_features",
    "hidden",
    "local_rbf",
    "local_rbf_equations",
    "local_rbf_leave_one_out",
    "log_light",
    "neighbor_cells",
    "nearest_samples",
    "pyramid",
    "sample_mask",
    "seen",
    "superpixel_loss",
]


def _grid(pixels: Tensor, cell: int) -> tuple[int, int]:
    return grid_shape(pixels.shape[-2], pixels.shape[-1], cell)


def neighbor_cells(pixels: Tensor, cell: int) -> Tensor:
    """(9, H, W) int64: flat index of every pixel's neighbors; those outside share h * w."""
    height, width = pixels.shape[-2:]
    rows, cols = _grid(pixels, cell)
    offset = torch.arange(9, device=pixels.device)[:, None, None]
    y = torch.arange(height, device=pixels.device)[:, None] // cell + offset // 3 - 1
    x = torch.arange(width, device=pixels.device) // cell + offset % 3 - 1
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < cols)
    return torch.where(inside, y * cols + x, rows * cols)


def _outside(pixels: Tensor, cell: int) -> Tensor:
    rows, cols = _grid(pixels, cell)
    return neighbor_cells(pixels, cell) == rows * cols


def _beside(centers: Tensor, pixels: Tensor, cell: int) -> Tensor:
    """(B, C, 9, H, W): the centers of every pixel's neighbors, 0 outside."""
    padded = functional.pad(centers.flatten(2), (0, 1))
    return padded[:, :, neighbor_cells(pixels, cell)]


def associate(logits: Tensor, cell: int, mask_outside: bool = True) -> Tensor:
    """Softmax over the neighbors that exist."""
    if not mask_outside:
        return logits.softmax(1)
    outside = _outside(logits, cell)
    return logits.masked_fill(outside, -torch.inf).softmax(1).masked_fill(outside, 0)


def associate_features(features: Tensor, centers: Tensor, cell: int, scale: float) -> Tensor:
    """Softmax of -scale * |f - u|^2."""
    difference = features[:, :, None] - _beside(centers, features, cell)
    return associate(-scale * difference.square().sum(1), cell)


def _blocks(pixels: Tensor, cell: int) -> Tensor:
    """(..., h, w, cell²): the pixels of every cell, 0 beyond the picture."""
    rows, cols = _grid(pixels, cell)
    beyond = (0, cols * cell - pixels.shape[-1], 0, rows * cell - pixels.shape[-2])
    cut = functional.pad(pixels, beyond).reshape(*pixels.shape[:-2], rows, cell, cols, cell)
    return cut.transpose(-3, -2).flatten(-2)


def _from_around(blocks: Tensor) -> Tensor:
    """(..., 9, h, w): for every cell what the nine blocks around hold for it; 0 from outside.

    Args:
        blocks: (..., 9, h, w), what a block's pixels hold for each of their neighbors.
    """
    rows, cols = blocks.shape[-2:]
    padded = functional.pad(blocks, (1, 1, 1, 1))
    # Neighbor n of the block at c - offset(n) is the cell at c.
    moved = (padded[..., n, 2 - n // 3 :, 2 - n % 3 :] for n in range(blocks.shape[-3]))
    return torch.stack([each[..., :rows, :cols] for each in moved], -3)


def accumulate(features: Tensor, association: Tensor, cell: int) -> Tensor:
    """(B, C + 1, h, w): sums weighted by association, then those of the weights."""
    ones = torch.ones_like(features[:, :1])
    weighted = torch.cat([features, ones], 1)[:, :, None] * association[:, None]
    return _from_around(_blocks(weighted, cell).sum(-1)).sum(-3)


def aggregate(features: Tensor, association: Tensor, cell: int) -> Tensor:
    """Weighted means; 0 where the weights sum to 0."""
    sums = accumulate(features, association, cell)
    total, mass = sums[:, :-1], sums[:, -1:]
    empty = mass == 0
    return (total / mass.masked_fill(empty, 1)).masked_fill(empty, 0)


def distribute(centers: Tensor, association: Tensor, cell: int) -> Tensor:
    """Weighted sums of the centers around."""
    inside = association.masked_fill(_outside(association, cell), 0)
    return (inside[:, None] * _beside(centers, association, cell)).sum(2)


def argmax_pool(association: Tensor, cell: int) -> Tensor:
    """Of every block its largest positive values and the first pixel of each, then of the nine."""
    height, width = association.shape[-2:]
    none = height * width
    pixel = torch.arange(none, device=association.device).view(height, width)
    held = association.detach()
    held = _blocks(held.masked_fill(held.isnan(), 0).clamp(min=0), cell)
    most = held.amax(-1)
    first = torch.where(held == most[..., None], _blocks(pixel, cell), none).amin(-1)
    most, first = _from_around(most), _from_around(first)
    best = most.amax(1, keepdim=True)
    index = torch.where(most == best, first, none).amin(1)
    return index.masked_fill(best[:, 0] == 0, -1)


def sample_mask(association: Tensor, cell: int, clip: float | None = None) -> Tensor:
    """1 at the samples; the straight-through gradient goes to the entries that chose them."""
    height, width = association.shape[-2:]
    index = functional.pad(argmax_pool(association, cell).flatten(1), (0, 1), value=-1)
    pixel = torch.arange(height * width, device=association.device).view(height, width)
    chosen = index[:, neighbor_cells(association, cell)] == pixel
    soft = torch.where(chosen, association, 0).sum(1, keepdim=True)
    if clip is not None and soft.requires_grad:
        soft.register_hook(lambda grad: grad.clamp(-clip, clip))  # type: ignore[no-untyped-call]
    return chosen.any(1, keepdim=True).to(association.dtype) + (soft - soft.detach())


def superpixel_loss(
    logits: Tensor,
    srgb: Tensor,
    raw: Tensor,
    cell: int,
    alpha: float = 0.2,
    m: float = 10,
    reduction: str = "mean",
) -> Tensor:
    """What averaging over superpixels takes from both pictures and from the pixels' positions."""
    q = associate(logits, cell)
    y = torch.arange(srgb.shape[2]).to(srgb)[:, None].expand(srgb.shape[2:])
    x = torch.arange(srgb.shape[3]).to(srgb).expand(srgb.shape[2:])
    position = torch.stack([y, x]).expand(srgb.shape[0], -1, -1, -1)

    def lost(features: Tensor) -> Tensor:
        error = (features - distribute(aggregate(features, q, cell), q, cell)).square()
        return error.sum() if reduction == "sum" else error.mean()

    scale = 1 if reduction == "sum" else 255**2
    pictures = alpha * lost(srgb) + (1 - alpha) * lost(raw)
    return scale * pictures + (m / cell) ** 2 * lost(position)


def _covariance(basis: RadialBasis, left: Tensor, right: Tensor) -> Tensor:
    """(..., L, R) between points (..., L, D) and (..., R, D)."""
    squared = (left[..., :, None, :] - right[..., None, :, :]).square().sum(-1)
    # The slope of a root at 0 is infinite, and times 0 not a number.
    distance = squared.where(squared > 0, 1).sqrt().where(squared > 0, 0)
    radial = (-distance).exp() if basis.radial == "exponential" else 1 / (1 + squared)
    return radial + basis.tail * (1 + left @ right.mT)


def _shares(basis: RadialBasis, known: Tensor, neighbors: Tensor, sought: Tensor) -> Tensor:
    """(M, P, K) what samples add to the points (M, P, D) in systems of the neighbors, (M, K)."""
    sizes = known.new_tensor([basis.position_scale] * 2 + [basis.guide_scale] * known.shape[1])
    around = known[neighbors]
    origin = around.mean(1, keepdim=True)
    around, at = ((p - origin) / sizes[: known.shape[1]] for p in (around, sought))
    noise = basis.ridge * torch.eye(around.shape[1], dtype=known.dtype, device=known.device)
    system = _covariance(basis, around, around) + noise
    shares: Tensor = torch.linalg.solve(system, _covariance(basis, around, at)).mT
    return shares


def _pixel_shares(
    guide: Tensor, points: Tensor, neighbors: Tensor, cell: int, basis: RadialBasis
) -> tuple[Tensor, Tensor]:
    """(M, K) of each pixel of all pictures: what its system's samples add, and which they are."""
    batch, _, height, width = guide.shape
    rows, cols = _grid(guide, cell)
    y, x = (torch.arange(n, device=guide.device) for n in (height, width))
    system = (y // cell * cols)[:, None] + x // cell
    system = system + rows * cols * torch.arange(batch, device=guide.device)[:, None, None]
    position = torch.stack(torch.meshgrid(y, x, indexing="ij")).to(points)
    position = position.expand(batch, -1, -1, -1)
    pixels = torch.cat([position, guide.to(points)], 1).permute(0, 2, 3, 1).flatten(0, 2)
    around = neighbors.flatten(0, 2)[system.flatten()]
    return _shares(basis, points, around, pixels[:, None])[:, 0], system.flatten()


def local_rbf(
    guide: Tensor, points: Tensor, values: Tensor, neighbors: Tensor, cell: int, basis: RadialBasis
) -> Tensor:
    """One system a cell, solved for every pixel of it anew."""
    shares, system = _pixel_shares(guide, points, neighbors, cell, basis)
    found = (shares[:, None] @ values[neighbors.flatten(0, 2)[system]])[:, 0]
    return found.view(len(guide), *guide.shape[2:], -1).permute(0, 3, 1, 2)


def local_rbf_leave_one_out(
    points: Tensor, values: Tensor, neighbors: Tensor, basis: RadialBasis
) -> Tensor:
    """The first of each row's samples from the others."""
    sought, around = points[neighbors[:, :1]], neighbors[:, 1:]
    return (_shares(basis, points, around, sought) @ values[around])[:, 0]


def local_rbf_equations(
    guide: Tensor,
    points: Tensor,
    values: Tensor,
    neighbors: Tensor,
    cell: int,
    basis: RadialBasis,
    guess: Tensor,
    truth: Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """Each pixel's product of what its samples add, summed over its cell."""
    shares, system = _pixel_shares(guide, points, neighbors, cell, basis)
    planes = (guess, truth) if weight is None else (guess, truth, weight)
    first, true, *counts = (p.movedim(1, -1).flatten(0, -2).to(values) for p in planes)
    gain = (shares[:, None] @ values[neighbors.flatten(0, 2)[system]])[:, 0]
    found = (first + 1e-3) * gain.exp()
    missed = (true + 1e-3) / found - 1
    far = missed.clamp(min=1)
    wanted = gain + torch.where(missed > 1, 1 + far.log(), missed)
    counting = (found * far).square().mean(1, keepdim=True)
    if counts:  # what does not count may hold anything
        wanted, counting = (p.where(counts[0] > 0, 0) for p in (wanted, counts[0] * counting))
    products = (shares * counting)[..., None] * torch.cat([shares, wanted], 1)[:, None]
    cells = neighbors.shape[:-1].numel()
    summed = products.new_zeros(cells, *products.shape[1:]).index_add(0, system, products)
    return summed.view(*neighbors.shape[:-1], *products.shape[1:])


def log_light(srgb: Tensor) -> Tensor:
    """Of any shape; the floor keeps noise in the shadows from counting as contrast."""
    return torch.log(srgb.square() + 5e-3)


def pyramid(picture: Tensor, steps: tuple[int, ...]) -> tuple[list[Tensor], Tensor]:
    """Bands (C, H, W) and what remains: à trous, binomial [1, 2, 1] / 4 at growing distances.

    Args:
        picture: (C, H, W), which goes on beyond its edges as it is at them.
        steps: from one tap to the next, level by level, pixels.
    """
    halo, bands = sum(steps), []
    picture = functional.pad(picture[None], (halo,) * 4, mode="replicate")[0]
    for step in steps:
        smooth = picture
        for dim in (-1, -2):
            size = smooth.shape[dim] - 2 * step
            before, middle, after = (smooth.narrow(dim, k * step, size) for k in range(3))
            smooth = (before + after) / 4 + middle / 2
        finer = picture[..., step:-step, step:-step] - smooth
        halo -= step
        rest = slice(halo, -halo or None)
        bands.append(finer[..., rest, rest])
        picture = smooth
    return bands, picture


def _clipped(srgb: Tensor) -> Tensor:
    """(4, H, W) where each color is at its limit, and where all are."""
    full = srgb >= 254 / 255
    return torch.cat([full, full.all(0, keepdim=True)]).to(srgb)


def seen(srgb: Tensor) -> Tensor:
    """(B, 7, H, W) what a feature network sees: sRGB, its logarithm, where all of it is clipped."""
    clipped = (srgb >= 254 / 255).to(srgb).amin(1, keepdim=True)
    return torch.cat([srgb - 0.5, 0.3 * log_light(srgb) + 0.5, clipped], 1)


def hidden(beyond: Tensor, told: Tensor, layers: FineLayers) -> Tensor:
    """(B, 24, H, W) last hidden layer of a feature network, of one length at all pixels.

    Weights are fitted to each picture, so that only directions of what comes here matter; at one
    length training keeps them from growing without end.

    Args:
        beyond: (B, 3, H + 2, W + 2) sRGB, a pixel more on each side.
        told: (B, 24, H, W), the half of the layer that was worked out at half size, before GELU.
    """
    first = functional.gelu(functional.conv2d(seen(beyond), layers.first, layers.first_bias))
    second = functional.conv2d(first, layers.second[..., None, None], layers.second_bias)
    found = functional.gelu(second + told)
    found = found if found.dtype == torch.float64 else found.float()
    return found / (found.square().mean(1, keepdim=True) + 0.05).sqrt()


def _enlarged(planes: Tensor, factor: int, like: Tensor) -> Tensor:
    """Bilinear between the centers of pixels, cut to the size of another picture."""
    large = functional.interpolate(
        planes[None], scale_factor=float(factor), mode="bilinear", align_corners=False
    )[0]
    return large[..., : like.shape[-2], : like.shape[-1]]


def _table(table: Tensor, color: Tensor) -> Tensor:
    """(3, N) a table's gains for (3, N) colors, linear in each between its knots."""
    knots = table.shape[-1]
    place = color.clamp(0, 1) * (knots - 1)
    before = place.detach().floor().clamp(max=knots - 2)
    (red, green, blue), share = before.long(), place - before
    gain = torch.zeros_like(color)
    for b, g, r in itertools.product((0, 1), repeat=3):
        weight = torch.stack([s if k else 1 - s for s, k in zip(share, (r, g, b), strict=True)])
        gain = gain + table[:, blue + b, green + g, red + r] * weight.prod(0)
    return gain


def _features(
    picture: Tensor,
    contrast: Tensor | None = None,
    told: Tensor | None = None,
    layers: FineLayers | None = None,
) -> Tensor:
    """(F, H, W)."""
    light = picture.mean(0, keepdim=True)
    parts = [_clipped(picture)]
    if contrast is not None:
        given = _enlarged(contrast, 4, picture)
        bands = [*pyramid(log_light(picture), (1, 2, 4))[0], given[:3], given[3:6]]
        products = torch.cat([band.mean(0, keepdim=True) for band in bands]) * light
        level = given[6:].mean(0, keepdim=True).square()
        parts += [*bands, products, products * light, given[6:], level]
    if told is not None and layers is not None:
        beyond = functional.pad(picture[None], (1,) * 4, mode="replicate")
        layers = FineLayers(*(part.to(picture) for part in layers))
        parts.append(hidden(beyond, _enlarged(told.to(picture), 2, picture)[None], layers)[0])
    return torch.cat(parts)


def guess_features(
    picture: Tensor,
    index: Tensor,
    contrast: Tensor,
    told: Tensor | None = None,
    layers: FineLayers | None = None,
    top: int = 0,
    bottom: int | None = None,
) -> Tensor:
    """All pixels' features, then some of them."""
    return _features(picture, contrast, told, layers)[4:].flatten(1)[:, index].T


def first_guess(
    picture: Tensor,
    cubic: Tensor,
    table: Tensor,
    weights: Tensor,
    contrast: Tensor | None = None,
    told: Tensor | None = None,
    layers: FineLayers | None = None,
    top: int = 0,
    bottom: int | None = None,
) -> Tensor:
    """The whole picture's, then some rows of it."""
    features = _features(picture, contrast, told, layers).flatten(1)
    gain = (_table(table, picture.flatten(1)) + weights @ features).clamp(-2, 2)
    powers = [(i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j)]
    r, g, b = picture.flatten(1)
    plain = (cubic @ torch.stack([r**i * g**j * b**k for i, j, k in powers])).clamp(0, 1)
    return ((plain + 1e-3) * gain.exp() - 1e-3).clamp(0, 1).view(picture.shape)[:, top:bottom]


def nearest_samples(place: Tensor, position: Tensor, count: int) -> Tensor:
    """All distances, sorted; of equal ones the first stays first."""
    squared = (place.double() - position.double()[:, None]).square().sum(2)
    return squared.sort(dim=1, stable=True).indices[:, :count]

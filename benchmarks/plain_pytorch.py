"""The operators as one writes them without native code: python benchmarks/plain_pytorch.py

``Published`` is how the published code does it: block sums by average pooling, centers to pixels by
nearest interpolation, shifted views for the nine neighbors (superpixel_fcn, on which Nam et al.
build), samples by sorting all that a cell sees. ``Best`` is the fastest found that PyTorch offers:
one product of matrices a block, a maximum in place of the sorting, batches of small dense systems.
Run as a script, it checks both against isp_meta.ops.reference, which is shorter and slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from isp_meta import ops
from isp_meta.ops import reference

CELL, CHANNELS, SCALE, ALPHA, COMPACTNESS = 8, 8, 1.0, 0.2, 10.0
# As reconstruction has them: color and surroundings, and the samples of 6 x 6 cells.
GUIDES, AROUND, BASIS = 5, 6, ops.RadialBasis(16.0, 0.1)
# Systems solved at once: more would leave the caches, and memory at a photograph's size.
SYSTEMS = 1024


@lru_cache
def outside(height: int, width: int, cell: int, device: str) -> Tensor:
    cells = reference.neighbor_cells(torch.empty(1, 1, height, width, device=device), cell)
    return cells == (height // cell) * (width // cell)


def shifted(centers: Tensor) -> Iterator[Tensor]:
    """For each neighbor n the centers, moved so that a cell finds its neighbor n in place."""
    height, width = centers.shape[-2:]
    padded = functional.pad(centers, (1, 1, 1, 1))
    for n in range(9):
        yield padded[..., n // 3 : n // 3 + height, n % 3 : n % 3 + width]


def spread(centers: Tensor, cell: int) -> Tensor:
    return functional.interpolate(centers, scale_factor=cell)


def positions(like: Tensor) -> Tensor:
    """(B, 2, H, W) row and column of every pixel."""
    batch, _, height, width = like.shape
    y = torch.arange(height, device=like.device, dtype=like.dtype).view(-1, 1)
    x = torch.arange(width, device=like.device, dtype=like.dtype)
    place = torch.stack([y.expand(height, width), x.expand(height, width)])
    return place.expand(batch, -1, -1, -1)


def blocks_of(pixels: Tensor, cell: int) -> Tensor:
    """(B h w, C, cell^2): the pixels of every block side by side."""
    batch, channels, height, width = pixels.shape
    split = pixels.view(batch, channels, height // cell, cell, width // cell, cell)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, cell * cell)


def picture_of(blocks: Tensor, like: Tensor, cell: int) -> Tensor:
    """(B, C, H, W) of such blocks."""
    batch, _, height, width = like.shape
    split = blocks.view(batch, height // cell, width // cell, -1, cell, cell)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, height, width)


def around_blocks(centers: Tensor) -> Tensor:
    """(B h w, 9, C): the centers around every block."""
    around = torch.stack(list(shifted(centers)), 1)
    return around.permute(0, 3, 4, 1, 2).reshape(-1, 9, centers.shape[1])


def centers_of(weights: Tensor, pixels: Tensor, like: Tensor, cell: int) -> Tensor:
    """(B, C, h, w): means of (B h w, C, P) pixels by (B h w, 9, P) weights."""
    batch, _, height, width = like.shape
    with_mass = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)
    sums = torch.bmm(weights, with_mass.mT).view(batch, height // cell, width // cell, 9, -1)
    sums = functional.pad(sums, (0, 0, 0, 0, 1, 1, 1, 1))
    rows, columns = height // cell, width // cell
    # A cell is neighbor n of the block that lies on its other side.
    total = sum(sums[:, 2 - n // 3 :, 2 - n % 3 :, n][:, :rows, :columns] for n in range(9))
    return (total[..., :-1] / total[..., -1:]).permute(0, 3, 1, 2)


def seen_by_cells(association: Tensor, cell: int) -> Tensor:
    """(B, 9 * cell^2, h, w): what every cell sees, block after block in the neighbors' order."""
    batch, _, height, width = association.shape
    rows, columns = height // cell, width // cell
    blocks = association.view(batch, 9, rows, cell, columns, cell)
    blocks = blocks.permute(0, 1, 3, 5, 2, 4).reshape(batch, 9, cell * cell, rows, columns)
    return torch.cat([list(shifted(blocks[:, n]))[8 - n] for n in reversed(range(9))], 1)


def pixels_of(place: Tensor, width: int, cell: int) -> Tensor:
    """Flat pixel index of a place among what a cell sees."""
    rows, columns = place.shape[-2:]
    block, within = place // cell**2, place % cell**2
    row = torch.arange(rows, device=place.device).view(-1, 1) + block // 3 - 1
    column = torch.arange(columns, device=place.device) + block % 3 - 1
    return (row * cell + within // cell) * width + column * cell + within % cell


def marked(association: Tensor, value: Tensor, index: Tensor) -> Tensor:
    batch, _, height, width = association.shape
    flat = index.flatten(1)
    empty = association.new_zeros(batch, height * width)
    soft = empty.scatter_add(1, flat, value.flatten(1))
    return (empty.scatter(1, flat, 1.0) + soft - soft.detach()).view(batch, 1, height, width)


def solved(basis: ops.RadialBasis, around: Tensor, values: Tensor, at: Tensor) -> Tensor:
    """(M, P, V) at points (M, P, D), interpolated from (M, K, V) values at (M, K, D)."""
    scale = [basis.position_scale] * 2 + [basis.guide_scale] * GUIDES
    origin = around.mean(1, keepdim=True)
    around, at = ((p - origin) / p.new_tensor(scale) for p in (around, at))

    def covariance(left: Tensor) -> Tensor:
        return torch.cdist(left, around, compute_mode="donot_use_mm_for_euclid_dist").neg_().exp_()

    matrix = covariance(around)
    matrix.diagonal(dim1=1, dim2=2).fill_(1 + basis.ridge)
    return covariance(at) @ torch.cholesky_solve(values, torch.linalg.cholesky(matrix))


class Published:
    """For sides that are multiples of the cell."""

    @staticmethod
    def associate(logits: Tensor, cell: int) -> Tensor:
        nowhere = outside(*logits.shape[-2:], cell, str(logits.device))
        return logits.masked_fill(nowhere, -torch.inf).softmax(1)

    @staticmethod
    def associate_features(features: Tensor, centers: Tensor, cell: int, scale: float) -> Tensor:
        distances = [(features - spread(u, cell)).square().sum(1) for u in shifted(centers)]
        return Published.associate(-scale * torch.stack(distances, 1), cell)

    @staticmethod
    def aggregate(features: Tensor, association: Tensor, cell: int) -> Tensor:
        with_mass = torch.cat([features, torch.ones_like(features[:, :1])], 1)
        total = features.new_zeros(())
        for n in range(9):
            blocks = functional.avg_pool2d(with_mass * association[:, n : n + 1], cell)
            # A cell is neighbor n of the block that lies on its other side.
            total = total + list(shifted(blocks))[8 - n]
        return total[:, :-1] / total[:, -1:]

    @staticmethod
    def distribute(centers: Tensor, association: Tensor, cell: int) -> Tensor:
        result = association.new_zeros(())
        for n, u in enumerate(shifted(centers)):
            result = result + association[:, n : n + 1] * spread(u, cell)
        return result

    @staticmethod
    def strongest(association: Tensor, cell: int) -> tuple[Tensor, Tensor]:
        batch, _, height, width = association.shape
        side, rows, columns = 3 * cell, height // cell, width // cell
        around = functional.unfold(association, side, padding=cell, stride=cell)
        around = around.view(batch, 9, 3, cell, 3, cell, rows * columns)
        own = [around[:, 8 - b, b // 3, :, b % 3].flatten(1, 2) for b in range(9)]
        seen = torch.stack(own, 1).flatten(1, 2).transpose(1, 2)
        value, place = seen.topk(seen.shape[-1] - 1)
        place = place[..., 0].view(batch, rows, columns)
        return value[..., 0].view(batch, rows, columns), pixels_of(place, width, cell)

    @staticmethod
    def argmax_pool(association: Tensor, cell: int) -> Tensor:
        return Published.strongest(association, cell)[1]

    @staticmethod
    def sample_mask(association: Tensor, cell: int) -> Tensor:
        return marked(association, *Published.strongest(association, cell))

    @staticmethod
    def superpixel_loss(
        logits: Tensor, srgb: Tensor, raw: Tensor, cell: int, alpha: float, m: float
    ) -> Tensor:
        seen = torch.cat([srgb, raw, positions(logits)], 1)
        q = Published.associate(logits, cell)
        gap = (seen - Published.distribute(Published.aggregate(seen, q, cell), q, cell)).square()
        pictures = alpha * gap[:, :3].mean() + (1 - alpha) * gap[:, 3:6].mean()
        return 255**2 * pictures + (m / cell) ** 2 * gap[:, 6:].mean()


class Best:
    """For sides that are multiples of the cell; what it lacks, ``Published`` has."""

    @staticmethod
    def associate_features(features: Tensor, centers: Tensor, cell: int, scale: float) -> Tensor:
        # Of |f - u|^2 the square of f is the same for all neighbors: the softmax does not see it.
        u = around_blocks(centers)
        both = torch.baddbmm(
            u.square().sum(2, keepdim=True), u, blocks_of(features, cell), alpha=-2
        )
        return Published.associate(-scale * picture_of(both, features, cell), cell)

    @staticmethod
    def aggregate(features: Tensor, association: Tensor, cell: int) -> Tensor:
        weights, pixels = blocks_of(association, cell), blocks_of(features, cell)
        return centers_of(weights, pixels, features, cell)

    @staticmethod
    def distribute(centers: Tensor, association: Tensor, cell: int) -> Tensor:
        u = around_blocks(centers).mT
        return picture_of(torch.bmm(u, blocks_of(association, cell)), association, cell)

    @staticmethod
    def strongest(association: Tensor, cell: int) -> tuple[Tensor, Tensor]:
        value, place = seen_by_cells(association, cell).max(1)
        return value, pixels_of(place, association.shape[-1], cell)

    @staticmethod
    def argmax_pool(association: Tensor, cell: int) -> Tensor:
        return Best.strongest(association, cell)[1]

    @staticmethod
    def sample_mask(association: Tensor, cell: int) -> Tensor:
        return marked(association, *Best.strongest(association, cell))

    @staticmethod
    def superpixel_loss(
        logits: Tensor, srgb: Tensor, raw: Tensor, cell: int, alpha: float, m: float
    ) -> Tensor:
        q = blocks_of(Published.associate(logits, cell), cell)
        pixels = blocks_of(torch.cat([srgb, raw, positions(logits)], 1), cell)
        u = around_blocks(centers_of(q, pixels, logits, cell))
        gap = torch.baddbmm(pixels, u.mT, q, beta=-1).square()
        pictures = alpha * gap[:, :3].mean() + (1 - alpha) * gap[:, 3:6].mean()
        return 255**2 * pictures + (m / cell) ** 2 * gap[:, 6:].mean()

    @staticmethod
    def local_rbf(
        guide: Tensor,
        points: Tensor,
        values: Tensor,
        neighbors: Tensor,
        cell: int,
        basis: ops.RadialBasis,
    ) -> Tensor:
        batch, _, height, width = guide.shape
        rows, columns = height // cell, width // cell
        place = torch.stack(
            torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        )
        place = place.to(guide).expand(batch, -1, -1, -1)
        pixels = torch.cat([place, guide], 1).view(batch, -1, rows, cell, columns, cell)
        pixels = pixels.permute(0, 2, 4, 3, 5, 1).reshape(batch * rows * columns, cell**2, -1)
        parts = zip(
            torch.split(pixels, SYSTEMS), torch.split(neighbors.flatten(0, 2), SYSTEMS), strict=True
        )
        found = torch.cat([solved(basis, points[k], values[k], at) for at, k in parts])
        found = found.view(batch, rows, columns, cell, cell, -1)
        return found.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, height, width)


def systems(guide: Tensor, values: Tensor) -> tuple[Any, ...]:
    """The arguments of local_rbf that follow: a sample in the middle of every cell."""
    batch, _, rows, columns = values.shape
    y, x = (torch.arange(n, device=guide.device) * CELL + CELL // 2 for n in (rows, columns))
    place = torch.stack(torch.meshgrid(y, x, indexing="ij")).to(guide)
    there = guide[:, :, CELL // 2 :: CELL, CELL // 2 :: CELL]
    points = torch.cat([place.expand(batch, -1, -1, -1), there], 1)
    index = torch.arange(batch * rows * columns, device=guide.device).view(batch, rows, columns)
    sides = []
    for count in (rows, columns):
        size = min(AROUND, count)
        first = (torch.arange(count, device=guide.device) - size // 2).clamp(0, count - size)
        sides.append(first[:, None] + torch.arange(size, device=guide.device))
    down, across = sides[0][:, None, :, None], sides[1][None, :, None]
    neighbors = index[:, down, across].flatten(3)
    flat = (t.permute(0, 2, 3, 1).flatten(0, 2).contiguous() for t in (points, values))
    return *flat, neighbors.contiguous(), CELL, BASIS


def arguments(
    name: str, batch: int, height: int, width: int, device: str = "cpu"
) -> tuple[Any, ...]:
    """Of the operator of that name; the same for the same shape."""
    generator = torch.Generator().manual_seed(height)

    def random(kind: Any, channels: int, *sides: int) -> Tensor:
        return kind(batch, channels, *sides, generator=generator).to(device)

    features = random(torch.rand, CHANNELS, height, width)
    centers = random(torch.rand, CHANNELS, height // CELL, width // CELL)
    logits = random(torch.randn, 9, height, width)
    if name == "superpixel_loss":
        srgb, raw = features[:, :3].contiguous(), features[:, 3:6].contiguous()
        return logits, srgb, raw, CELL, ALPHA, COMPACTNESS
    if name == "associate":
        return logits, CELL
    if name == "associate_features":
        return features, centers, CELL, SCALE
    if name == "local_rbf":
        guide = random(torch.rand, GUIDES, height, width)
        return guide, *systems(guide, random(torch.rand, 3, height // CELL, width // CELL))
    association = ops.associate(logits, CELL)
    if name in ("aggregate", "distribute"):
        return features if name == "aggregate" else centers, association, CELL
    return association, CELL


WITHOUT_GRADIENT = ("argmax_pool", "local_rbf")
# The arguments that have a gradient, where not all tensors do.
LEAVES = {"superpixel_loss": [0]}


def leaves_of(name: str, given: tuple[Any, ...]) -> list[int]:
    """Which of an operator's arguments have a gradient."""
    return LEAVES.get(name, [i for i, x in enumerate(given) if isinstance(x, Tensor)])


def names() -> list[str]:
    """Operators that have a formulation here."""
    return [name for name in ops.__all__ if hasattr(Published, name) or hasattr(Best, name)]


def with_gradients(operator: Any, name: str, given: tuple[Any, ...]) -> Callable[[], list[Tensor]]:
    """A call for the operator's result and the gradients of a weighted sum of it."""
    arguments = list(given)
    leaves = [given[i].clone().requires_grad_() for i in leaves_of(name, given)]
    for i, leaf in zip(leaves_of(name, given), leaves, strict=True):
        arguments[i] = leaf
    with torch.no_grad():
        weight = torch.rand_like(operator(*given), memory_format=torch.contiguous_format)

    def run() -> list[Tensor]:
        result = operator(*arguments)
        return [result, *torch.autograd.grad(result, leaves, weight)]

    return run


# Of solutions in float32.
TOLERANCE: dict[str, dict[str, float]] = {"local_rbf": {"rtol": 1e-4, "atol": 1e-4}}


def main() -> None:
    """Raises where a formulation differs from the reference in values or gradients."""
    for home in (Published, Best):
        for name in (n for n in names() if hasattr(home, n)):
            results = []
            for operator in (getattr(reference, name), getattr(home, name)):
                given = arguments(name, 2, 48, 40)
                torch.manual_seed(0)
                if name in WITHOUT_GRADIENT:
                    results.append([operator(*given)])
                else:
                    results.append(with_gradients(operator, name, given)())
            for expected, found in zip(*results, strict=True):
                torch.testing.assert_close(found, expected, **TOLERANCE.get(name, {}))
            print(f"{home.__name__}.{name} is what the reference says")


if __name__ == "__main__":
    main()

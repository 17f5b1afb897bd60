"""Every operator once, forward and backward, on small ragged pictures: for compute-sanitizer.

``python benchmarks/small_shapes.py [cpu | cuda]``. Compares with isp_meta.ops.reference as it goes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from isp_meta import ops
from isp_meta.ops import reference
from isp_meta.ops.grid import grid_shape

# Batch, height, width, cell: one pixel, a line, a cell larger than the picture, ragged, whole.
SHAPES = ((1, 1, 1, 1), (1, 1, 13, 4), (2, 5, 7, 9), (2, 21, 35, 8), (1, 16, 24, 8))
BASIS = ops.RadialBasis(6.0, 0.3, tail=0.2, ridge=0.1)
# The largest systems want more shared memory than a kernel has without asking.
SAMPLES = (5, 96)

Case = tuple[str, tuple[Any, ...], tuple[Tensor, ...]]


def superpixels(batch: int, height: int, width: int, cell: int, device: str) -> Iterator[Case]:
    """Name, arguments, those that have a gradient."""
    z = torch.randn(batch, 9, height, width, device=device, requires_grad=True)
    f = torch.rand(batch, 3, height, width, device=device, requires_grad=True)
    shape = (batch, 3, *grid_shape(height, width, cell))
    u = torch.rand(shape, device=device, requires_grad=True)
    q = ops.associate(z.detach(), cell).requires_grad_()
    yield "associate", (z, cell), (z,)
    yield "associate_features", (f, u, cell, 1.0), (f, u)
    yield "aggregate", (f, q, cell), (f, q)
    yield "distribute", (u, q, cell), (u, q)
    yield "argmax_pool", (q, cell), ()
    yield "sample_mask", (q, cell), (q,)
    yield "superpixel_loss", (z, f.detach(), f.detach().square(), cell), (z,)


def samples(batch: int, height: int, width: int, cell: int, device: str) -> Iterator[Case]:
    """What interpolates samples, and a first guess; none has a gradient."""
    guide = torch.rand(batch, 3, height, width, device=device)
    for count in SAMPLES:
        place = torch.randint(0, max(height, width), (count + 1, 2), device=device)
        points = torch.cat([place, torch.rand(count + 1, 3, device=device)], 1)
        values = torch.rand(count + 1, 4, device=device)
        cells = (batch, *grid_shape(height, width, cell))
        around = torch.rand(*cells, count + 1, device=device).argsort(-1)
        yield "local_rbf", (guide, points, values, around[..., 1:].contiguous(), cell, BASIS), ()
        yield "local_rbf_leave_one_out", (points, values, around.flatten(0, 2), BASIS), ()
        if count <= 16:  # the most that equations are made of
            few, truth = around[..., :count].contiguous(), guide.square()
            given = (guide, points, values[:, :3].contiguous(), few, cell, BASIS, guide, truth)
            yield "local_rbf_equations", given, ()
        position = torch.rand(7, 2, device=device) * height
        yield "nearest_samples", (place, position, min(count, 9)), ()
    contrast = torch.randn(9, height // 4 + 1, width // 4 + 1, device=device)
    cubic, table = torch.rand(3, 20, device=device) / 8, torch.rand(3, 4, 4, 4, device=device) / 4
    weights = torch.randn(3, 33, device=device) / 20
    yield "first_guess", (guide[0], cubic, table, weights, contrast), ()
    index = torch.arange(height * width, device=device)
    yield "guess_features", (guide[0], index, contrast), ()
    filtered, limits = guide[0].square(), (1.0, 0.5)
    weights = torch.randn(4, 6, 3, 72, device=device) / 20
    yield "adaptive_filter", (filtered, guide[0], weights, *limits), ()
    yield "filter_features", (filtered, guide[0], index, *limits), ()


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.manual_seed(0)
    for shape in SHAPES:
        for name, given, leaves in (*superpixels(*shape, device), *samples(*shape, device)):
            results = []
            for home in (ops, reference):
                result = getattr(home, name)(*given)
                results.append([result])
                if leaves:
                    results[-1] += torch.autograd.grad(result.sum(), leaves)
            for found, expected in zip(*results, strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    print(f"{len(SHAPES)} small shapes on {device} are what the reference says")


if __name__ == "__main__":
    main()

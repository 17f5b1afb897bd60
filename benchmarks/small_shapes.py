"""Every operator once, forward and backward, on small ragged pictures: for compute-sanitizer.

``python benchmarks/small_shapes.py [cpu | cuda]``. Compares with isp_meta.ops.reference as it goes.
"""

from __future__ import annotations

import sys

import torch

from isp_meta import ops
from isp_meta.ops import reference
from isp_meta.ops.grid import grid_shape

# Batch, height, width, cell: one pixel, a line, a cell larger than the picture, ragged, whole.
SHAPES = ((1, 1, 1, 1), (1, 1, 13, 4), (2, 5, 7, 9), (2, 21, 35, 8), (1, 16, 24, 8))


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.manual_seed(0)
    for batch, height, width, cell in SHAPES:
        z = torch.randn(batch, 9, height, width, device=device, requires_grad=True)
        f = torch.rand(batch, 3, height, width, device=device, requires_grad=True)
        shape = (batch, 3, *grid_shape(height, width, cell))
        u = torch.rand(shape, device=device, requires_grad=True)
        q = ops.associate(z.detach(), cell).requires_grad_()
        for name, given, leaves in (
            ("associate", (z, cell), (z,)),
            ("associate_features", (f, u, cell, 1.0), (f, u)),
            ("aggregate", (f, q, cell), (f, q)),
            ("distribute", (u, q, cell), (u, q)),
            ("argmax_pool", (q, cell), ()),
            ("sample_mask", (q, cell), (q,)),
        ):
            results = []
            for home in (ops, reference):
                result = getattr(home, name)(*given)
                results.append([result])
                if leaves:
                    results[-1] += torch.autograd.grad(result.sum(), leaves)
            for found, expected in zip(*results, strict=True):
                torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-5)
    print(f"{len(SHAPES)} small shapes on {device} are what the reference says")


if __name__ == "__main__":
    main()

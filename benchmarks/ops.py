"""Native operators against plain PyTorch: python benchmarks/ops.py [--json FILE]

Plain PyTorch is what one would write without native code: block sums by average pooling, centers
back to pixels by nearest interpolation, shifted views for the nine neighbors. It is checked against
isp_meta.ops.reference, which is shorter and slower, before anything is timed.

Native and plain alternate within one run; figures are medians. Allocating and returning memory is
a large part of plain PyTorch's time, so everything runs twice: with the allocator as it is, and
with a heap that is kept (MALLOC_MMAP_MAX_=0, MALLOC_TRIM_THRESHOLD_). Peak memory is what resident
memory grows by during one call, on the largest picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from machine import describe, machine
from torch import Tensor
from torch.nn import functional

from isp_meta import ops
from isp_meta.ops import reference

CELL, CHANNELS, SCALE = 8, 8, 1.0
SIZES = (256, 512, 1024)
MODES = ("forward", "forward+backward")
ALLOCATORS = {
    "default": {},
    "kept heap": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36)},
    # Every large block goes back at once, so that resident memory shows what is in use.
    "memory": {"MALLOC_MMAP_THRESHOLD_": "65536"},
}
Call = Callable[[], object]


class Plain:
    """The operators in plain PyTorch, for sides that are multiples of the cell."""

    @staticmethod
    @lru_cache
    def outside(height: int, width: int, cell: int) -> Tensor:
        cells = reference.neighbor_cells(torch.empty(1, 1, height, width), cell)
        return cells == (height // cell) * (width // cell)

    @staticmethod
    def shifted(centers: Tensor) -> Iterator[Tensor]:
        """For each neighbor n the centers, moved so that a cell finds its neighbor n in place."""
        height, width = centers.shape[-2:]
        padded = functional.pad(centers, (1, 1, 1, 1))
        for n in range(9):
            yield padded[..., n // 3 : n // 3 + height, n % 3 : n % 3 + width]

    @staticmethod
    def associate(logits: Tensor, cell: int) -> Tensor:
        outside = Plain.outside(*logits.shape[-2:], cell)
        return logits.masked_fill(outside, -torch.inf).softmax(1)

    @staticmethod
    def associate_features(features: Tensor, centers: Tensor, cell: int, scale: float) -> Tensor:
        around = [functional.interpolate(u, scale_factor=cell) for u in Plain.shifted(centers)]
        distances = [(features - u).square().sum(1) for u in around]
        return Plain.associate(-scale * torch.stack(distances, 1), cell)

    @staticmethod
    def aggregate(features: Tensor, association: Tensor, cell: int) -> Tensor:
        with_mass = torch.cat([features, torch.ones_like(features[:, :1])], 1)
        total = torch.zeros(())
        for n in range(9):
            blocks = functional.avg_pool2d(with_mass * association[:, n : n + 1], cell)
            # A cell is neighbor n of the block that lies on its other side.
            total = total + list(Plain.shifted(blocks))[8 - n]
        return total[:, :-1] / total[:, -1:]

    @staticmethod
    def distribute(centers: Tensor, association: Tensor, cell: int) -> Tensor:
        result = torch.zeros(())
        for n, u in enumerate(Plain.shifted(centers)):
            spread = functional.interpolate(u, scale_factor=cell)
            result = result + association[:, n : n + 1] * spread
        return result

    @staticmethod
    def strongest(association: Tensor, cell: int) -> tuple[Tensor, Tensor]:
        """Largest association of every cell and its flat pixel index, (B, h, w) each."""
        batch, _, height, width = association.shape
        rows, columns = height // cell, width // cell
        blocks = association.view(batch, 9, rows, cell, columns, cell)
        blocks = blocks.permute(0, 1, 3, 5, 2, 4).reshape(batch, 9, cell * cell, rows, columns)
        seen = [list(Plain.shifted(blocks[:, n]))[8 - n] for n in reversed(range(9))]
        value, place = torch.cat(seen, 1).max(1)
        block, within = place // cell**2, place % cell**2
        row = torch.arange(rows).view(-1, 1) + block // 3 - 1
        column = torch.arange(columns) + block % 3 - 1
        y, x = row * cell + within // cell, column * cell + within % cell
        return value, y * width + x

    @staticmethod
    def argmax_pool(association: Tensor, cell: int) -> Tensor:
        return Plain.strongest(association, cell)[1]

    @staticmethod
    def sample_mask(association: Tensor, cell: int) -> Tensor:
        batch, _, height, width = association.shape
        value, index = Plain.strongest(association, cell)
        flat = index.flatten(1)
        empty = association.new_zeros(batch, height * width)
        soft = empty.scatter_add(1, flat, value.flatten(1))
        mask = empty.scatter(1, flat, 1.0) + soft - soft.detach()
        return mask.view(batch, 1, height, width)

    @staticmethod
    def superpixel_loss(logits: Tensor, srgb: Tensor, raw: Tensor, cell: int) -> Tensor:
        height, width = logits.shape[-2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.cat([255 * srgb, 255 * raw, torch.stack([y, x]).to(srgb)[None]], 1)
        association = Plain.associate(logits, cell)
        rebuilt = Plain.distribute(Plain.aggregate(pixels, association, cell), association, cell)
        lost = (pixels - rebuilt).square()
        srgb_lost, raw_lost, position_lost = lost[:, :3], lost[:, 3:6], lost[:, 6:]
        position_weight = (10 / cell) ** 2
        return (
            0.2 * srgb_lost.mean() + 0.8 * raw_lost.mean() + position_weight * position_lost.mean()
        )


def arguments(name: str, size: int) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(size)
    features = torch.rand(1, CHANNELS, size, size, generator=generator)
    centers = torch.rand(1, CHANNELS, size // CELL, size // CELL, generator=generator)
    logits = torch.randn(1, 9, size, size, generator=generator)
    association = ops.associate(logits, CELL)
    return {
        "associate": (logits, CELL),
        "associate_features": (features, centers, CELL, SCALE),
        "aggregate": (features, association, CELL),
        "distribute": (centers, association, CELL),
        "argmax_pool": (association, CELL),
        "sample_mask": (association, CELL),
        "superpixel_loss": (logits, features[:, :3], features[:, 3:6], CELL),
    }[name]


def cases(size: int) -> Iterator[tuple[str, str, Call, Call]]:
    """Operator, mode, native call, plain call."""
    for name in ops.__all__:
        for mode in MODES:
            if (name, mode) != ("argmax_pool", "forward+backward"):
                backward = mode == "forward+backward"
                native, plain = (
                    call(getattr(home, name), arguments(name, size), backward)
                    for home in (ops, Plain)
                )
                yield name, mode, native, plain


def call(operator: Callable[..., Tensor], given: tuple[Any, ...], backward: bool) -> Call:
    if not backward:
        return lambda: operator(*given)
    leaves = [x.clone().requires_grad_() if isinstance(x, Tensor) else x for x in given]
    if operator.__name__ == "superpixel_loss":
        leaves[1:3] = given[1:3]  # its pictures are data
    wanted = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
    result = operator(*given)
    weight = torch.rand(result.shape, generator=torch.Generator().manual_seed(0))
    return lambda: torch.autograd.grad(operator(*leaves), wanted, weight)


def check() -> None:
    """Plain PyTorch here means what the reference means."""
    for name in ops.__all__:
        given = arguments(name, 48)
        calls = [call(getattr(m, name), given, name != "argmax_pool") for m in (reference, Plain)]
        torch.testing.assert_close(calls[1](), calls[0]())
        values = [getattr(home, name)(*given) for home in (reference, Plain)]
        torch.testing.assert_close(values[1], values[0])


def milliseconds(one: Call) -> float:
    start = time.perf_counter()
    one()
    return 1e3 * (time.perf_counter() - start)


def time_cases(sizes: list[int], seconds: float) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        for name, mode, native, plain in cases(size):
            milliseconds(native), milliseconds(plain)
            taken: tuple[list[float], list[float]] = ([], [])
            end = time.perf_counter() + seconds
            while len(taken[0]) < 5 or (time.perf_counter() < end and len(taken[0]) < 200):
                for one, record in zip((native, plain), taken, strict=True):
                    record.append(milliseconds(one))
            medians = [statistics.median(record) for record in taken]
            row = {"op": name, "mode": mode, "size": size, "rounds": len(taken[0])}
            rows.append(row | dict(zip(("native_ms", "plain_ms"), medians, strict=True)))
    return rows


def resident(field: str) -> int:
    """Bytes: VmRSS, or its peak VmHWM."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def growth(one: Call) -> int:
    one()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    one()
    return max(0, resident("VmHWM") - before)


def weigh_cases(size: int) -> list[dict[str, Any]]:
    return [
        {
            "op": name,
            "mode": mode,
            "native_bytes": growth(native) / size**2,
            "plain_bytes": growth(plain) / size**2,
        }
        for name, mode, native, plain in cases(size)
    ]


def in_child(allocator: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    sizes = [str(size) for size in given.sizes]
    command = [sys.executable, __file__, "--child", allocator, "--seconds", str(given.seconds)]
    result = subprocess.run(
        [*command, "--sizes", *sizes],
        env={**os.environ, **ALLOCATORS[allocator]},
        stdout=subprocess.PIPE,
        check=True,
    )
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def show(timed: dict[str, list[dict[str, Any]]], weighed: list[dict[str, Any]], size: int) -> None:
    head = "".join(f"{'native':>13}{'plain':>9}{'ratio':>7}" for _ in timed)
    print(f"\n{'milliseconds':38}" + "".join(f"{name:>29}" for name in timed))
    print(f"{'operator':20}{'mode':17}{'':1}{head}   size")
    for together in zip(*timed.values(), strict=True):
        first = together[0]
        cells = "".join(
            f"{row['native_ms']:13.2f}{row['plain_ms']:9.2f}"
            f"{row['plain_ms'] / row['native_ms']:7.1f}"
            for row in together
        )
        print(f"{first['op']:20}{first['mode']:17} {cells}   {first['size']}x{first['size']}")
    print(f"\nbytes a pixel at the peak, {size}x{size}, results and gradients included")
    for row in weighed:
        native, plain = row["native_bytes"], row["plain_bytes"]
        print(f"{row['op']:20}{row['mode']:17} {native:13.0f}{plain:9.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Native operators against plain PyTorch.")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="sides, pixels")
    parser.add_argument("--seconds", type=float, default=0.4, help="of rounds for each row")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--child", choices=ALLOCATORS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if any(size < 1 or size % CELL for size in given.sizes):
        parser.error(f"sizes must be multiples of {CELL}")
    if given.child == "memory":
        print(json.dumps(weigh_cases(max(given.sizes))))
    elif given.child:
        print(json.dumps(time_cases(given.sizes, given.seconds)))
    else:
        check()
        print(describe(machine()))
        print(f"float32, batch 1, {CHANNELS} feature channels, cells of {CELL}x{CELL}")
        timed = {name: in_child(name, given) for name in ("default", "kept heap")}
        weighed = in_child("memory", given)
        show(timed, weighed, max(given.sizes))
        if given.json:
            result = {"machine": machine(), "milliseconds": timed, "bytes_per_pixel": weighed}
            given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

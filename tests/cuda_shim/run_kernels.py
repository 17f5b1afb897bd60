"""Runs the CUDA kernels, compiled for the CPU, beside the reference; see ``check_cuda.py``.

``python run_kernels.py LIBRARY [--read-outside]``
"""

from __future__ import annotations

import ctypes
import itertools
import math
import sys
from collections.abc import Callable

import torch
from library import DTYPES, AdaptiveFilter, FirstGuess, Grid, Kernels, LocalRBF, Met, SampleBuckets
from torch import Tensor

from isp_meta.ops import Buckets, FineLayers, RadialBasis, reference
from isp_meta.ops.first_guess import _checked
from isp_meta.ops.grid import center_dtype, grid_shape

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12, torch.float16: 4e-3, torch.bfloat16: 3e-2}
# Height, width, cell: one pixel, one line, a cell larger than the picture, ragged, whole, thin.
SHAPES = ((1, 1, 1), (1, 13, 4), (5, 7, 9), (21, 35, 8), (16, 24, 8), (19, 6, 2))
SCHEDULES = (1, 2, 3)


def slopes(sums: Tensor, by: Tensor, grad: Tensor) -> Tensor:
    """Derivative of <sums, grad> by one argument: how the reference defines the adjoint kernels."""
    (result,) = torch.autograd.grad((sums * grad).sum(), by)
    return result


def accumulated(features: Tensor, association: Tensor, cell: int) -> Tensor:
    ones = torch.ones_like(features[:, :1])
    pixels = torch.cat([features, ones], 1)
    shape = (*pixels.shape[:2], *grid_shape(*features.shape[2:], cell))
    centers = torch.zeros(shape, dtype=pixels.dtype, requires_grad=True)
    return slopes(reference.distribute(centers, association, cell), centers, pixels)


def correlated(features: Tensor, centers: Tensor, cell: int) -> Tensor:
    shape = (features.shape[0], 9, *features.shape[2:])
    association = torch.zeros(shape, dtype=features.dtype, requires_grad=True)
    pixels = torch.cat([features, torch.ones_like(features[:, :1])], 1)
    return slopes(reference.distribute(centers, association, cell), association, pixels)


def softmax_slopes(grad: Tensor, association: Tensor) -> Tensor:
    return association * (grad - (association * grad).sum(1, keepdim=True))


def unwritten(*shape: int, dtype: torch.dtype) -> Tensor:
    """Memory that a kernel must write before it is read."""
    return torch.full(shape, torch.nan if dtype.is_floating_point else -7, dtype=dtype)


def check(
    name: str,
    kernels: Kernels,
    out: Tensor,
    expected: Tensor,
    launch: Callable[[Tensor], None],
    dtype: torch.dtype,
) -> None:
    """Every schedule fills all of ``out``, as expected, and the same to the bit."""
    first = None
    for seed in SCHEDULES:
        kernels.library.set_schedule(seed)
        result = torch.full_like(out, -7)
        launch(result)
        if first is None:
            first = result
            tolerance = TOLERANCE[dtype] if result.is_floating_point() else 0
            torch.testing.assert_close(
                result.to(expected.dtype),
                expected,
                rtol=tolerance,
                atol=tolerance,
                msg=lambda text: f"{name}: {text}",
            )
        if not torch.equal(first, result):
            raise AssertionError(f"{name}: schedules {SCHEDULES[0]} and {seed} differ")


def check_shape(kernels: Kernels, shape: tuple[int, int, int], dtype: torch.dtype) -> int:
    height, width, cell = shape
    batch, channels = 2, 3
    center = center_dtype(dtype)
    grid, cells = Grid.of(*shape), grid_shape(*shape)
    pixels = (batch, channels, height, width)
    nine = (batch, 9, height, width)
    f = torch.randn(pixels).to(dtype)
    z, g = torch.randn(nine).to(dtype), torch.randn(nine).to(dtype)
    q = torch.rand(nine).to(dtype)
    u = torch.randn(batch, channels, *cells).to(center)
    v = torch.randn(batch, channels + 1, *cells).to(center)
    # Ties, values that are not positive, and NaN.
    ties = (torch.randint(-1, 3, nine) / 2.0).masked_fill(torch.rand(nine) < 0.1, torch.nan)
    ties = ties.to(dtype)
    f64, z64, g64, q64, u64, v64 = (t.double() for t in (f, z, g, q, u, v))

    def run(name: str, out: Tensor, expected: Tensor, *arguments: object) -> None:
        """Arguments as the kernel takes them; ... stands for the output."""

        def launch(result: Tensor) -> None:
            kernels(name, dtype, *(result if a is ... else a for a in arguments))

        check(f"{name} {shape} {dtype}", kernels, out, expected, launch, dtype)

    sums, index = torch.empty_like(v), unwritten(batch, *cells, dtype=torch.int64)
    for mask in (True, False):
        run("associate", z, reference.associate(z64, cell, mask), z, ..., batch, grid, mask)
    run("associate_backward", q, softmax_slopes(g64, q64), g, q, ..., batch, height * width)
    likeness = reference.associate_features(f64, u64, cell, 0.7)
    run("associate_features", q, likeness, f, u, ..., batch, channels, grid, 0.7)
    blocks = unwritten(batch, cells[0] * cells[1], 9, channels + 1, dtype=center)
    expected = accumulated(f64, q64, cell)
    run("accumulate", sums, expected, f, q, blocks, ..., batch, channels, grid)
    rebuilt = reference.distribute(u64, q64, cell)
    run("distribute", f, rebuilt, u, q, ..., batch, channels, grid)
    run("correlate", q, correlated(f64, v64, cell), f, v, ..., batch, channels, grid)
    run("argmax_pool", index, reference.argmax_pool(ties.double(), cell), ties, ..., batch, grid)
    return 8 + check_superpixel_loss(kernels, shape, dtype)


def check_superpixel_loss(kernels: Kernels, shape: tuple[int, int, int], dtype: torch.dtype) -> int:
    height, width, cell = shape
    batch, cells = 2, grid_shape(*shape)
    center = center_dtype(dtype)
    grid, blocks = Grid.of(*shape), batch * math.prod(cells)
    z = torch.randn(batch, 9, height, width).to(dtype)
    x, y = (torch.rand(batch, 3, height, width).to(center) for _ in range(2))
    z64 = z.double().requires_grad_()
    loss = reference.superpixel_loss(
        z64, x.double(), y.double(), cell, 0.2, 0.05**0.5 * cell, "sum"
    )
    (slopes,) = torch.autograd.grad(loss, z64)
    values = {
        "loss": unwritten(dtype=center),
        "centers": unwritten(batch, *cells, 8, dtype=center),
        "slopes": unwritten(batch, *cells, 8, dtype=center),
        "records": unwritten(blocks, 144, dtype=center),
        "shares": unwritten(batch * cells[0] * -(-cells[1] // 32), dtype=torch.float64),
    }

    def forward(result: Tensor) -> None:
        tensors = (values | {"loss": result}).values()
        kernels("superpixel_loss", dtype, z, x, y, *tensors, batch, grid)

    label = f"superpixel_loss {shape} {dtype}"
    check(label, kernels, values["loss"], loss.detach(), forward, dtype)

    def backward(grad: float) -> Callable[[Tensor], None]:
        given = (torch.full((), grad, dtype=center), z, x, y, values["centers"], values["slopes"])
        return lambda result: kernels(
            "superpixel_loss_backward", dtype, *given, result, batch, grid
        )

    label = f"superpixel_loss_backward {shape} {dtype}"
    check(label, kernels, z, slopes / 2, backward(0.5), dtype)
    # Of a large picture's mean, slopes are below what float16 holds; scaled, they are all there.
    lost = torch.zeros_like(z)
    backward(2.0**-40)(lost)
    assert dtype != torch.float16 or not lost.any(), label
    check(f"{label}, scaled", kernels, z, slopes, backward(2.0**-40 * 2.0**40), dtype)
    return 3


def check_local_rbf(
    kernels: Kernels, shape: tuple[int, int, int], size: int, basis: RadialBasis, dtype: torch.dtype
) -> int:
    """Systems of ``size`` samples, of five values each: more than a thread sums at once."""
    height, width, cell = shape
    # The largest systems that there are, where they are of as many samples.
    batch, guides, channels, count = 2, *((16, 16) if size == 96 else (3, 5)), size + 7
    center, cells = center_dtype(dtype), grid_shape(*shape)
    guide = torch.rand(batch, guides, height, width).to(dtype)
    points = torch.cat([torch.rand(count, 2) * 9, torch.rand(count, guides)], 1).to(center)
    values = torch.randn(count, channels).to(center)
    neighbors = torch.rand(batch, *cells, count).argsort(-1)[..., : size + 1]
    rows, around = neighbors.flatten(0, 2).contiguous(), neighbors[..., 1:].contiguous()
    position, scale, radial, tail, ridge = basis.arguments
    numbers = (guides, size, channels, count, 1 / position, 1 / scale, tail, ridge, radial)
    rbf = LocalRBF(Grid.of(*shape), *numbers)
    guide64, points64, values64 = guide.double(), points.double(), values.double()
    pixels = reference.local_rbf(guide64, points64, values64, around, cell, basis)
    total = batch * cells[0] * cells[1]
    expected = {"local_rbf": (pixels, (guide, points, values, around, ..., batch))}
    if dtype == center:
        left_out = reference.local_rbf_leave_one_out(points64, values64, rows, basis)
        expected["local_rbf_leave_one_out"] = (left_out, (points, values, rows, ..., total))
    for name, (truth, arguments) in expected.items():

        def launch(
            result: Tensor, name: str = name, arguments: tuple[object, ...] = arguments
        ) -> None:
            given = (result if a is ... else a for a in arguments)
            wide = (ctypes.c_int64(a) if isinstance(a, int) else a for a in given)
            kernels(name, dtype, *wide, rbf)

        out = torch.empty(truth.shape, dtype=center)
        check(f"{name} {shape} {size} {basis} {dtype}", kernels, out, truth, launch, dtype)
    return len(expected)


def check_equations(
    kernels: Kernels, shape: tuple[int, int, int], size: int, basis: RadialBasis, dtype: torch.dtype
) -> int:
    """Two pictures, pixels that count unequally or all the same, some that ask for a large step."""
    height, width, cell = shape
    batch, guides, colors, count = 2, 3, 3, size + 7
    center, cells = center_dtype(dtype), grid_shape(*shape)
    guide = torch.rand(batch, guides, height, width).to(dtype)
    points = torch.cat([torch.rand(count, 2) * 9, torch.rand(count, guides)], 1).to(center)
    values = torch.randn(count, colors).div(4).to(center)
    neighbors = torch.rand(batch, *cells, count).argsort(-1)[..., :size].contiguous()
    planes = [torch.rand(batch, colors, height, width).to(center) for _ in range(2)]
    counts = (torch.rand(batch, 1, height, width) - 0.3).clamp(min=0).to(center)
    position, scale, radial, tail, ridge = basis.arguments
    numbers = (guides, size, size, count, 1 / position, 1 / scale, tail, ridge, radial)
    rbf = LocalRBF(Grid.of(*shape), *numbers)
    for weight in (None, counts):
        met = Met(*(p.data_ptr() for p in (values, *planes)), 0, colors)
        if weight is not None:
            met.weight = weight.data_ptr()
        wide = (t.double() for t in (guide, points, values))
        more = [p.double() for p in (*planes, *([] if weight is None else [weight]))]
        expected = reference.local_rbf_equations(*wide, neighbors, cell, basis, *more)

        def launch(result: Tensor, met: Met = met) -> None:
            kernels("local_rbf_equations", dtype, guide, points, neighbors, result, batch, rbf, met)

        out = torch.empty(expected.shape, dtype=center)
        check(f"equations {shape} {size} {basis} {dtype}", kernels, out, expected, launch, dtype)
    return 2


def check_first_guess(
    kernels: Kernels, size: tuple[int, int], rows: tuple[int, int], parts: int, dtype: torch.dtype
) -> int:
    """Guess and features of some rows: of colors, with contrast, with a network."""
    height, width = size
    top, bottom = rows
    center, knots = center_dtype(dtype), 5
    quarter, half = ((-(-height // f) + 1, -(-width // f) + 2) for f in (4, 2))
    srgb = (1.2 * torch.rand(3, height, width)).clamp(max=1).to(dtype)
    contrast = torch.randn(9, *quarter).to(center) if parts > 1 else None
    told = torch.randn(24, *half).bfloat16() if parts > 2 else None
    shapes = ((8, 7, 3, 3), (8,), (24, 8), (24,))
    layers = FineLayers(*(0.4 * torch.randn(s).to(center) for s in shapes)) if parts > 2 else None
    known = (srgb, *_checked(srgb.to(center), contrast, told, layers))
    features = 4 + 29 * (parts > 1) + 24 * (parts > 2)
    cubic, table = torch.rand(3, 20) / 4, torch.randn(3, knots, knots, knots) / 4
    weights = torch.randn(3, features) / 20
    cubic, table, weights = (t.to(center) for t in (cubic, table, weights))
    numbers = (height, width, top, bottom, knots, features, *quarter, *half)
    of = FirstGuess(*(t.data_ptr() for t in (*known, cubic, weights, table)), *numbers)
    wide = None if contrast is None else contrast.double()
    wide64 = srgb.double()
    expected = reference.first_guess(
        wide64, cubic.double(), table.double(), weights.double(), wide, told, layers, top, bottom
    )
    level = unwritten(4, 3, bottom - top + 14, width + 14, dtype=center)
    label = f"{size} {rows} {parts} {dtype}"

    def guess(result: Tensor) -> None:
        kernels("first_guess", dtype, level, result, of)

    out = torch.empty(expected.shape, dtype=center)
    check(f"first_guess {label}", kernels, out, expected, guess, dtype)
    if wide is None:
        return 1
    index = torch.arange(top * width, bottom * width, 3)
    told_there = reference.guess_features(wide64, index, wide, told, layers)

    def tell(result: Tensor) -> None:
        kernels("guess_features", dtype, level, index, len(index), result, of)

    out = torch.empty(told_there.shape, dtype=center)
    check(f"guess_features {label}", kernels, out, told_there, tell, dtype)
    return 2


def check_adaptive_filter(kernels: Kernels, size: tuple[int, int], dtype: torch.dtype) -> int:
    """A picture of all kinds, filtered; features and kinds of some of its pixels."""
    height, width = size
    center = center_dtype(dtype)
    srgb = (1.1 * torch.rand(3, height, width) ** 2).clamp(max=1).to(dtype)
    raw = torch.rand(3, height, width).square().to(center)
    weights = (torch.randn(4, 6, 3, 72) / 16).to(center)
    limits = (1.0, 0.6)
    of = AdaptiveFilter(*(t.data_ptr() for t in (srgb, raw, weights)), *limits, height, width)
    # In the precision of the op: a sum that is near a threshold falls on the same side.
    shown = srgb.to(center)
    expected = reference.adaptive_filter(raw, shown, weights, *limits)

    def filtered(result: Tensor) -> None:
        kernels("adaptive_filter", dtype, result, of)

    out = torch.empty_like(expected)
    check(f"adaptive_filter {size} {dtype}", kernels, out, expected, filtered, dtype)
    index = torch.arange(0, height * width, 3)
    features, kinds = reference.filter_features(raw, shown, index, *limits)
    found = torch.empty_like(kinds)

    def tell(result: Tensor) -> None:
        kernels("filter_features", dtype, index, len(index), result, found, of)

    out = torch.empty_like(features, memory_format=torch.contiguous_format)
    check(f"filter_features {size} {dtype}", kernels, out, features, tell, dtype)
    assert torch.equal(found, kinds)
    return 2


def check_nearest_samples(kernels: Kernels, samples: int, count: int, dtype: torch.dtype) -> int:
    """Places of which some are equally far, from positions inside and beyond."""
    place = torch.randint(0, 24, (samples, 2))
    position = torch.cat([torch.rand(9, 2) * 24, torch.tensor([[-9.0, 90.0]])]).to(dtype)
    buckets = Buckets.of(place)
    tensors, rows = buckets[:3], (len(buckets.start) - 1) // buckets.cols
    pointers = (t.data_ptr() for t in tensors)
    given = SampleBuckets(*pointers, samples, rows, buckets.cols, buckets.side)
    room = unwritten(len(position), count, dtype=torch.float64)

    def launch(result: Tensor) -> None:
        kernels("nearest_samples", dtype, position, len(position), room, result, count, given)

    expected = reference.nearest_samples(place, position, count)
    out = torch.empty_like(expected)
    check(f"nearest_samples {samples} {count} {dtype}", kernels, out, expected, launch, dtype)
    return 1


FILTER_SIZES = ((1, 1), (9, 40), (70, 5))
NEAREST_CASES = ((1, 1), (60, 7), (300, 36))

GUESS_CASES = (((1, 1), (0, 1), 3), ((9, 21), (2, 7), 3), ((5, 3), (0, 5), 2), ((8, 12), (7, 8), 1))

RBF_CASES = (
    ((5, 7, 9), 9, RadialBasis(6, 0.3)),
    ((21, 19, 8), 7, RadialBasis(6, 0.3, "rational")),
    ((13, 6, 4), 1, RadialBasis(6, 0.3, tail=0.7)),
    ((9, 12, 11), 70, RadialBasis(6, 0.3, "rational", tail=0.2, ridge=0.5)),
    ((2, 3, 2), 96, RadialBasis(6, 2.0, tail=0.2, ridge=0.5)),
)


def check_devices(kernels: Kernels) -> int:
    """A device is set where it is another, and then put back: each time takes memory there."""
    z = torch.zeros(1, 9, 2, 2)
    for device, expected in ((0, 0), (1, 2)):
        kernels.library.set_device(device)
        before = kernels.library.count_devices_set()
        kernels("associate", z.dtype, z, z.clone(), 1, Grid.of(2, 2, 2), True)
        assert kernels.library.count_devices_set() - before == expected
        assert kernels.library.get_current_device() == 0
    kernels.library.set_device(0)
    return 2


def check_large_cells(kernels: Kernels) -> int:
    """The pixels of a cell are counted beyond 32 bits."""
    kernels.library.pixels_of.restype = ctypes.c_int64
    assert kernels.library.pixels_of(Grid.of(100_000, 70_000, 50_000), 0, 1) == 20_000 * 50_000
    assert kernels.library.pixels_of(Grid.of(100_000, 70_000, 50_000), 1, 0) == 50_000**2
    return 2


def main() -> None:
    kernels = Kernels(sys.argv[1])
    torch.manual_seed(0)
    if "--read-outside" in sys.argv:
        short = torch.rand(1, 9, 8, 7)
        index = torch.empty(1, 2, 2, dtype=torch.int64)
        kernels("argmax_pool", torch.float32, short, index, 1, Grid.of(8, 8, 4))
        return
    cases = sum(check_shape(kernels, *case) for case in itertools.product(SHAPES, DTYPES))
    cases += sum(check_first_guess(kernels, *c, dtype) for c in GUESS_CASES for dtype in DTYPES)
    cases += sum(
        check_adaptive_filter(kernels, *c) for c in itertools.product(FILTER_SIZES, DTYPES)
    )
    cases += sum(check_nearest_samples(kernels, *c, d) for c in NEAREST_CASES for d in DTYPES)
    cases += sum(check_local_rbf(kernels, *case, dtype) for case in RBF_CASES for dtype in DTYPES)
    cases += sum(
        check_equations(kernels, *case, dtype) for case in RBF_CASES[:3] for dtype in DTYPES
    )
    cases += check_devices(kernels) + check_large_cells(kernels)
    print(f"{cases} kernel cases equal the reference, each under {len(SCHEDULES)} schedules")


if __name__ == "__main__":
    main()

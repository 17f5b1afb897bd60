"""Native operators against PyTorch's own: python benchmarks/ops.py [--device cuda] [--full]

"published" and "best PyTorch": see plain_pytorch.py, which checks both first. Native and the others
alternate within one run; figures are medians of five rounds at least, after one that is not
counted. Widths are no powers of two but where the row says so: rows would lie in each other's way.
Allocating and returning memory is a large
part of PyTorch's time on the CPU, so all runs twice there: with the allocator as it is, and with a
heap that is kept (MALLOC_MMAP_MAX_=0, MALLOC_TRIM_THRESHOLD_); --full adds torch.compile of the
best formulation, and more sizes.

Bandwidth counts every tensor once: arguments and result forward; backward the same again, and a
gradient for each. It is compared with that of reading a large tensor (CPU) or copying one (CUDA),
measured in the same run. --record keeps the figures in benchmarks/results, for docs/benchmarks.md,
unless others kept the machine busy meanwhile. On CUDA a row is a graph of the call, replayed with a
second-level cache that holds nothing of it.
Peak memory is what memory grows by during one call, results included.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain_pytorch
import torch
from machine import Others, describe, machine, recorded
from plain_pytorch import (
    CELL,
    CHANNELS,
    WITHOUT_GRADIENT,
    Best,
    Published,
    arguments,
    leaves_of,
    with_gradients,
)
from torch import Tensor

from isp_meta import ops

# Batch, height, width.
Size = tuple[int, int, int]
WEIGHED: Size = (1, 1000, 1504)
QUICK: list[Size] = [(1, 128, 128), WEIGHED]
PHOTOGRAPH: Size = (1, 3000, 4000)
FULL: list[Size] = [*((n, 128, 128) for n in (1, 16, 128)), (1, 512, 512), WEIGHED]
FULL += [(1, 1024, 1024), PHOTOGRAPH]
ALLOCATORS = {
    "default": {},
    "kept heap": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36)},
    # Every large block goes back at once, so that resident memory shows what is in use.
    "memory": {"MALLOC_MMAP_THRESHOLD_": "65536"},
}
ROUNDS = 5  # at least
FLUSHED = 1 << 28  # bytes, more than any second-level cache
Call = Callable[[], object]
Row = dict[str, Any]


def modes(name: str) -> tuple[str, ...]:
    return ("forward",) if name in WITHOUT_GRADIENT else ("forward", "forward+backward")


def call(operator: Any, name: str, mode: str, given: tuple[Any, ...]) -> Call:
    if mode == "forward":
        return lambda: operator(*given)
    return with_gradients(operator, name, given)


def calls(name: str, mode: str, size: Size, device: str, compiled: bool) -> dict[str, Call]:
    """Every formulation of one operator, on the same arguments."""
    given = arguments(name, *size, device)
    forms = {"native": getattr(ops, name)}
    for form, home in (("published", Published), ("best PyTorch", Best)):
        if hasattr(home, name):
            forms[form] = getattr(home, name)
    # Unrolled, the batches of a photograph's systems take longer to compile than all else together.
    if compiled and name != "local_rbf":
        best = getattr(Best, name, None) or getattr(Published, name)
        forms["compiled"] = torch.compile(best, dynamic=False)
    return {form: call(operator, name, mode, given) for form, operator in forms.items()}


def bytes_moved(name: str, mode: str, size: Size, device: str) -> int:
    given = arguments(name, *size, device)
    tensors = [x for x in given if isinstance(x, Tensor)]
    with torch.no_grad():
        result = getattr(ops, name)(*given)
    read = sum(x.nbytes for x in tensors)
    if mode == "forward":
        return read + result.nbytes
    # The slopes of a mask depend on no value of its argument.
    again = 0 if name == "sample_mask" else read
    gradients = sum(given[i].nbytes for i in leaves_of(name, given))
    return read + result.nbytes + again + result.nbytes + gradients


def milliseconds(one: Call, device: str) -> float:
    if device == "cpu":
        start = time.perf_counter()
        one()
        return 1e3 * (time.perf_counter() - start)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.ones(FLUSHED, dtype=torch.uint8, device=device)
    begin.record()
    one()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def replayed(one: Call) -> Call:
    """A CUDA graph of a call, without Python's share; the call where it waits for the GPU."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        one()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            one()
    except RuntimeError:
        torch.cuda.synchronize()
        return one
    return graph.replay


def alternate(forms: dict[str, Call], seconds: float, device: str) -> dict[str, float]:
    """Median milliseconds of each, once warm."""
    for one in forms.values():
        one()
    if device == "cuda":
        forms = {form: replayed(one) for form, one in forms.items()}
    taken: dict[str, list[float]] = {form: [] for form in forms}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < ROUNDS or (time.perf_counter() < end and rounds < 200):
        for form, one in forms.items():
            taken[form].append(milliseconds(one, device))
        rounds += 1
    return {form: statistics.median(times) for form, times in taken.items()}


def bandwidth(device: str) -> float:
    """GB/s: the best of reading a large tensor on the CPU, of copying one on CUDA."""
    elements = 1 << 26
    source = torch.ones(elements, device=device)
    if device == "cpu":
        best = min(milliseconds(source.sum, device) for _ in range(15))
        return 4e-6 * elements / best
    target = torch.empty_like(source)
    best = min(milliseconds(lambda: target.copy_(source), device) for _ in range(15))
    return 8e-6 * elements / best


def time_cases(sizes: list[Size], seconds: float, device: str, compiled: bool) -> dict[str, Any]:
    rows: list[Row] = []
    peak = bandwidth(device)
    for size in sizes:
        for name in plain_pytorch.names():
            for mode in modes(name):
                forms = calls(name, mode, size, device, compiled)
                row = {"op": name, "mode": mode, "size": size}
                row |= {"ms": alternate(forms, seconds, device)}
                row["gb_s"] = 1e-6 * bytes_moved(name, mode, size, device) / row["ms"]["native"]
                rows.append(row)
                torch._dynamo.reset()
    return {"gb_s": peak, "rows": rows}


def scale_cases(seconds: float) -> list[Row]:
    """Native milliseconds by number of threads."""
    rows: list[Row] = []
    most = torch.get_num_threads()
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64) if n < most] + [most]
    for name in plain_pytorch.names():
        one = call(getattr(ops, name), name, modes(name)[-1], arguments(name, *WEIGHED))
        times = {}
        for threads in counts:
            torch.set_num_threads(threads)
            times[threads] = alternate({"native": one}, seconds, "cpu")["native"]
        torch.set_num_threads(most)
        rows.append({"op": name, "mode": modes(name)[-1], "ms": times})
    return rows


def resident(field: str) -> int:
    """Bytes: VmRSS, or its peak VmHWM."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def growth(one: Call, device: str) -> int:
    one()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        one()
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    one()
    return max(0, resident("VmHWM") - before)


def weigh_cases(device: str) -> list[Row]:
    rows: list[Row] = []
    for name in plain_pytorch.names():
        for mode in modes(name):
            forms = calls(name, mode, WEIGHED, device, compiled=False)
            grown = {f: growth(one, device) / math.prod(WEIGHED) for f, one in forms.items()}
            rows.append({"op": name, "mode": mode, "bytes": grown})
    return rows


def in_child(allocator: str, given: argparse.Namespace) -> Any:
    command = [sys.executable, __file__, "--child", allocator, "--seconds", str(given.seconds)]
    result = subprocess.run(
        [*command, *(["--full"] if given.full else [])],
        env={**os.environ, **ALLOCATORS[allocator]},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(result.stdout)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """What --json writes."""
    if given.device == "cuda":
        timed = {"cuda": time_cases(FULL if given.full else QUICK, given.seconds, "cuda", True)}
        return {"timed": timed, "memory": weigh_cases("cuda")}
    return {
        "timed": {name: in_child(name, given) for name in ("default", "kept heap")},
        "memory": in_child("memory", given),
        "threads": scale_cases(given.seconds),
    }


def show(result: dict[str, Any]) -> None:
    for allocator, timed in result["timed"].items():
        print(f"\nmilliseconds, {allocator}; memory moves {timed['gb_s']:.0f} GB/s")
        head = "operator           mode              size            native     GB/s of peak"
        print(head + "   others, and how many times as long as native")
        for row in timed["rows"]:
            native = row["ms"]["native"]
            others = "".join(
                f"  {form} {ms:.2f} ({ms / native:.1f}x)"
                for form, ms in row["ms"].items()
                if form != "native"
            )
            size = "x".join(map(str, row["size"]))
            share = 100 * row["gb_s"] / timed["gb_s"]
            print(
                f"{row['op']:19}{row['mode']:18}{size:14}{native:8.2f}{row['gb_s']:9.1f}"
                f"{share:7.0f}% {others}"
            )
    print(f"\nbytes a pixel at the peak, {'x'.join(map(str, WEIGHED))}, results included")
    for row in result["memory"]:
        forms = "".join(f"  {form} {size:.0f}" for form, size in row["bytes"].items())
        print(f"{row['op']:19}{row['mode']:18}{forms}")
    for row in result.get("threads", []):
        times = "".join(f"  {threads}: {ms:.2f}" for threads, ms in row["ms"].items())
        print(f"{row['op']:19}{row['mode']:18}ms by threads{times}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Native operators against plain PyTorch.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--full", action="store_true", help="more sizes, and torch.compile")
    parser.add_argument("--seconds", type=float, default=0.3, help="of rounds for each row")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--record", action="store_true", help="and to benchmarks/results")
    parser.add_argument("--once", action="store_true", help="each operator once: for a profiler")
    parser.add_argument("--child", choices=ALLOCATORS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = FULL if given.full else QUICK
    if given.once:
        for name in plain_pytorch.names():
            once = arguments(name, *WEIGHED, given.device)
            call(getattr(ops, name), name, modes(name)[-1], once)()
    elif given.child == "memory":
        print(json.dumps(weigh_cases("cpu")))
    elif given.child:
        # What is compiled is compiled once; and a heap that is kept would hold the most that any
        # formulation takes of it, 14 GB.
        default = given.child == "default"
        some = [size for size in sizes if default or size != PHOTOGRAPH]
        print(json.dumps(time_cases(some, given.seconds, "cpu", given.full and default)))
    else:
        if given.device == "cuda" and not torch.cuda.is_available():
            sys.exit("no CUDA device here")
        others = Others()
        plain_pytorch.main()
        print(describe(machine(given.device)))
        print(f"float32, {CHANNELS} feature channels, cells of {CELL}x{CELL}")
        result = {"machine": machine(given.device), **measure(given)}
        result["machine"]["others"] = others.cores()
        show(result)
        if given.record and others.busy():
            print(f"NOT RECORDED: others used {others.cores():.2f} cores meanwhile")
        record = recorded(result["machine"]) if given.record and not others.busy() else None
        for path in filter(None, (given.json, record)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

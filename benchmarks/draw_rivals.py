"""Chart and tables of what benchmarks/rivals.py recorded: python benchmarks/draw_rivals.py

Writes docs/images/rivals.svg and what stands between the marks of docs/compared-with.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "rivals"
PAGE, CHART = ROOT / "docs" / "compared-with.md", ROOT / "docs" / "images" / "rivals.svg"
BEGIN, END = "<!-- made by benchmarks/draw_rivals.py -->\n", "<!-- up to here -->"
OURS = "isp_meta, --bpp"
METHODS = ("isp_meta", "our samples", "AVIF", "JPEG XL", "HTJ2K", "miniraw")
# Beyond a curve's last bits its end stands for so much more, lest losses there go untold.
BEYOND = 1.06
ORDER = ("hero6", "hero6-6000", "hero6-800", "fusion_back", "fusion_back-6000", "fusion_back-800")

Record = dict[str, Any]
Point = dict[str, Any]


def mean_of_edits(place: int) -> Callable[[Point], float]:
    return lambda point: sum(e[place] for e in point["edits"].values()) / len(point["edits"])


@dataclass(frozen=True)
class Measure:
    """A figure of a point: its name, how it is had, which sign is better, and its decimals."""

    name: str
    of: Callable[[Point], float]
    sign: int
    decimals: int


MEASURES = (
    Measure("PSNR, linear, dB", lambda point: point["psnr"], 1, 1),
    Measure("PSNR after the square root, dB", lambda point: point["psnr_sqrt"], 1, 1),
    Measure("CIEDE2000 after edits", mean_of_edits(1), -1, 2),
    Measure("CIEDE2000 of 8×8 means after edits", mean_of_edits(2), -1, 2),
    Measure("largest error, deviations of the noise", lambda point: point["sigmas"][2], -1, 1),
)
SHOWN = (MEASURES[0], MEASURES[2], MEASURES[3])


def records(folder: Path = RESULTS) -> dict[str, Record]:
    paths = {path.stem: path for path in folder.glob("*.json")}
    names = [*(n for n in ORDER if n in paths), *sorted(paths.keys() - set(ORDER))]
    return {name: json.loads(paths[name].read_text(encoding="utf-8")) for name in names}


def curves(record: Record) -> dict[str, list[Point]]:
    """Each method's points, by bits; without those that hold no picture, or are exact."""
    found: dict[str, list[Point]] = {}
    for point in record["points"]:
        if point.get("psnr") is not None:
            found.setdefault(point["method"], []).append(point)
    return {method: sorted(line, key=lambda p: p["bits"]) for method, line in found.items()}


def at(line: list[Point], bits: float, measure: Measure) -> float | None:
    """A measure between a curve's points, by the logarithm of bits; None: beyond its ends."""
    for end in (line[0], line[-1]):
        if 1 / BEYOND <= bits / end["bits"] <= BEYOND:
            return measure.of(end)
    for left, right in pairwise(line):
        if left["bits"] <= bits <= right["bits"]:
            share = math.log(bits / left["bits"]) / math.log(right["bits"] / left["bits"])
            return (1 - share) * measure.of(left) + share * measure.of(right)
    return None


def lost(lines: dict[str, list[Point]], measure: Measure) -> list[tuple[str, Point, float]]:
    """The rivals' points that are ahead of our own curve, and by how much."""
    found = []
    for method, line in lines.items():
        if method.startswith("isp_meta"):
            continue
        for point in line:
            own = at(lines[OURS], point["bits"], measure)
            if own is None:
                continue
            by = round(measure.sign * (measure.of(point) - own), measure.decimals)
            if by > 0:
                found.append((method, point, by))
    return found


def described(record: Record) -> str:
    """A picture in words."""
    height, width = record["size"]
    noise = record["electrons"]
    how = f"with noise of {noise:,.0f} electrons" if noise else "as its file has it"
    jpeg = f"whose JPEG takes {record['jpeg_bits']:.2f} bits a pixel more"
    return f"`{record['picture']}` {how}, {width}×{height}, {jpeg}"


def ordered(methods: Iterable[str]) -> list[str]:
    """Methods in the order of METHODS, then by name."""
    return sorted(methods, key=lambda method: (_rank(method), method))


def _rank(method: str) -> int:
    return next((n for n, start in enumerate(METHODS) if method.startswith(start)), len(METHODS))


def table(record: Record) -> str:
    """Methods by rates; the best of each rate stands out."""
    asked = sorted({p["asked"] for p in record["points"] if p["asked"] is not None})
    rows = [f"| {' · '.join(m.name for m in SHOWN)} | {' | '.join(f'{r:g}' for r in asked)} |"]
    rows += ["| --- |" + " --- |" * len(asked)]
    by_rate = {
        rate: [p for p in record["points"] if p["asked"] == rate and p["bits"] is not None]
        for rate in asked
    }
    best = {
        (rate, m.name): max((m.sign * m.of(p) for p in found), default=0.0)
        for rate, found in by_rate.items()
        for m in SHOWN
    }
    for method in ordered({p["method"] for p in record["points"] if p["asked"] is not None}):
        known = {p["asked"]: p for p in record["points"] if p["method"] == method}
        cells = [_cell(known[rate], rate, best) if rate in known else "" for rate in asked]
        rows.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(point: Point, rate: float, best: dict[tuple[float, str], float]) -> str:
    if point["bits"] is None:
        return "–"
    parts = []
    for measure in SHOWN:
        text = f"{measure.of(point):.{measure.decimals}f}"
        first = measure.sign * measure.of(point) >= best[rate, measure.name]
        parts.append(f"**{text}**" if first else text)
    return " · ".join(parts)


def defaults(found: dict[str, Record]) -> str:
    """Ours by default beside every codec's curve at the same bits."""
    rows = [
        "| picture | | bits | dB | CIEDE2000 | of 8×8 means |",
        "| --- | --- " + "| ---: " * 4 + "|",
    ]
    seen: set[str] = set()
    for name, record in found.items():
        lines = curves(record)
        for effort in (0, 1, 2):
            line = lines.get(f"isp_meta, --effort {effort}")
            if line is None:
                continue
            (point,) = line
            label = "" if name in seen else f"`{name}`"
            seen.add(name)
            figures = " | ".join(f"{m.of(point):.{m.decimals}f}" for m in SHOWN)
            rows.append(f"| {label} | `--effort {effort}` | {point['bits']:.3f} | {figures} |")
            if effort == 1:
                rows.append(_best_rival(lines, point))
    return "\n".join(rows)


def _best_rival(lines: dict[str, list[Point]], point: Point) -> str:
    """The best figure that any codec alone reaches at a point's bits."""
    cells = []
    for measure in SHOWN:
        rivals = [
            value
            for method, line in lines.items()
            if not method.startswith(("isp_meta", "our"))
            and (value := at(line, point["bits"], measure)) is not None
        ]
        best = max(rivals, key=lambda value: measure.sign * value) if rivals else math.nan
        cells.append(f"{best:.{measure.decimals}f}")
    return f"| | best of the codecs, each figure | {point['bits']:.3f} | {' | '.join(cells)} |"


def losses(found: dict[str, Record]) -> str:
    """Where a rival is ahead: each picture, measure and rival."""
    rows = [
        "| picture | measure | ahead of us | at bits a photosite (by) |",
        "| --- | --- | --- | --- |",
    ]
    for name, record in found.items():
        known = MEASURES if record["electrons"] else MEASURES[:-1]
        for measure in known:
            behind: dict[str, list[str]] = {}
            for method, point, by in lost(curves(record), measure):
                told = f"{point['bits']:.2f} ({by:.{measure.decimals}f})"
                behind.setdefault(method, []).append(told)
            for method, places in behind.items():
                rows.append(f"| `{name}` | {measure.name} | {method} | {', '.join(places)} |")
    return "\n".join(rows) if len(rows) > 2 else "Nowhere on these pictures."


def alone(found: dict[str, Record]) -> str:
    """What a codec reaches without any JPEG in no more bits than ours take with theirs."""
    rows = ["| picture | JPEG | with ours | dB | best codec alone | its bits | dB |"]
    rows += ["| --- |" + " ---: |" * 3 + " --- |" + " ---: |" * 2]
    for name, record in found.items():
        lines = curves(record)
        own = next(iter(lines.get("isp_meta, --effort 1", [])), None)
        if own is None:  # not measured yet
            continue
        total = record["jpeg_bits"] + own["bits"]
        others = [
            (point["psnr"], method, point["bits"])
            for method, line in lines.items()
            for point in line
            if not method.startswith(("isp_meta", "our")) and point["bits"] <= total
        ]
        decibels, method, bits = max(others)
        rows.append(
            f"| `{name}` | {record['jpeg_bits']:.2f} | {total:.2f} | {own['psnr']:.1f} "
            f"| {method} | {bits:.2f} | {decibels:.1f} |"
        )
    return "\n".join(rows)


def exact(found: dict[str, Record]) -> str:
    """Bits without loss."""
    names = list(
        dict.fromkeys(
            p["method"] for r in found.values() for p in r["points"] if "lossless" in p["method"]
        )
    )
    rows = [
        f"| bits a photosite, to the bit | {' | '.join(names)} |",
        "| --- |" + " ---: |" * len(names),
    ]
    for name, record in found.items():
        bits = {p["method"]: p["bits"] for p in record["points"]}
        known = [bits.get(method) for method in names]
        least = min(value for value in known if value)
        cells = ["" if v is None else f"**{v:.2f}**" if v == least else f"{v:.2f}" for v in known]
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def cost(found: dict[str, Record]) -> str:
    """Seconds and memory of each method, medians over pictures and rates."""
    rows = ["| | there, s a megapixel | back | memory, MB a megapixel |", "| --- |" + " ---: |" * 3]
    taken: dict[str, list[tuple[float, float, float]]] = {}
    for record in found.values():
        pixels = math.prod(record["size"]) / 1e6
        for point in record["points"]:
            if "seconds" in point:
                there, back = point["seconds"]
                one = (there / pixels, back / pixels, point["memory_mb"] / pixels)
                taken.setdefault(point["method"], []).append(one)
    for method in ordered(taken):
        columns = zip(*taken[method], strict=True)
        there, back, memory = (sorted(column)[len(column) // 2] for column in columns)
        took = f"{memory:.0f}" if memory >= 1 else "–"
        rows.append(f"| {method} | {there:.2f} | {back:.2f} | {took} |")
    return "\n".join(rows)


def section(found: dict[str, Record]) -> str:
    """All that the page shows of the records."""
    machines = {
        (r["machine"]["cpu"], r["machine"]["isp_meta"], r["commit"]) for r in found.values()
    }
    told = "; ".join(
        f"{cpu}, isp_meta {version}, commit {commit}" for cpu, version, commit in sorted(machines)
    )
    parts = [
        "### By default\n",
        defaults(found),
        "\n### At the same bits\n",
        *(f"{described(record)}:\n\n{table(record)}\n" for record in found.values()),
        "### Where we lose\n",
        losses(found),
        "\nWhoever needs no JPEG needs no bits for it:\n",
        alone(found),
        "\n### To the bit\n",
        exact(found),
        "\n### What it costs\n",
        cost(found),
        f"\nMeasured on {told}.",
    ]
    return "\n".join(parts) + "\n"


def draw(found: dict[str, Record], path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    all_ = ordered({method for record in found.values() for method in curves(record)})
    colors = {method: f"C{number}" for number, method in enumerate(all_)}
    figure = Figure(figsize=(9, 2.6 * len(found)), layout="constrained")
    grid = figure.subplots(len(found), 2, sharex=True, squeeze=False)
    for (name, record), row in zip(found.items(), grid, strict=True):
        lines = curves(record)
        for measure, axes in zip((MEASURES[0], MEASURES[2]), row, strict=True):
            for method in ordered(lines):
                line = lines[method]
                if method.startswith("isp_meta, --effort"):
                    continue
                own = method.startswith("isp_meta")
                axes.plot(
                    [p["bits"] for p in line],
                    [measure.of(p) for p in line],
                    color=colors[method],
                    label=method,
                    marker="o",
                    markersize=4 if own else 2.5,
                    linewidth=2.2 if own else 1,
                )
            ahead = lost(lines, measure)
            axes.plot(
                [p["bits"] for _, p, _ in ahead],
                [measure.of(p) for _, p, _ in ahead],
                linestyle="none",
                marker="o",
                markersize=9,
                markerfacecolor="none",
                markeredgecolor="red",
                label="ahead of us",
            )
            scale = "linear" if measure.sign > 0 else "log"
            axes.set(title=f"{name}: {measure.name}", xscale="log", yscale=scale)
            axes.title.set_fontsize(9)
            axes.grid(alpha=0.3)
    for axes in grid[-1]:
        axes.set_xlabel("bits a photosite beside the JPEG")
    shown: dict[str, Any] = {}
    for axes in grid.flat:
        drawn, names = axes.get_legend_handles_labels()
        shown |= dict(zip(names, drawn, strict=True))
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": 3, "fontsize": 7}
    figure.legend(list(shown.values()), list(shown), **place)
    with rc_context({"svg.hashsalt": "rivals", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    found = records()
    draw(found, CHART)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{section(found)}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

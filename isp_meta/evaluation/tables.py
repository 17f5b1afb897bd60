"""Results of benchmarks as Markdown, in the form of the tables of Nam et al., CVPR 2022."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .results import Record, Results

__all__ = ["Mean", "markdown_table", "mean", "tables"]

_FIGURES = ("psnr", "psnr_unclipped", "ssim")


class Mean(NamedTuple):
    """A figure over scenes, and over runs where there are several.

    Attributes:
        value: mean over runs of the mean over scenes; None where no scene has the figure.
        spread: sample standard deviation: over runs, or of a single run over its scenes; None of
            fewer than two.
        scenes: how many it is over; of several runs, those of the run that has fewest.
    """

    value: float | None
    spread: float | None
    scenes: int


def mean(runs: Sequence[Sequence[Record]], figure: str) -> Mean:
    """A figure's mean and spread.

    Args:
        runs: of each the records of one method, a scene each.
        figure: a record's key; scenes without it (equal pictures have no finite PSNR) are left out.
    """
    found = [[r[figure] for r in run if r.get(figure) is not None] for run in runs]
    found = [values for values in found if values]
    if not found:
        return Mean(None, None, 0)
    means = [statistics.fmean(values) for values in found]
    spread_of = means if len(runs) > 1 else found[0]
    spread = statistics.stdev(spread_of) if len(spread_of) > 1 else None
    return Mean(statistics.fmean(means), spread, min(map(len, found)))


def tables(runs: Sequence[Results]) -> str:
    """All tables that the results can fill.

    Args:
        runs: one; or several of the same plan, such as of several seeds of one training, whose
            figures are then given as mean and spread over the runs.

    Returns:
        Markdown: what was measured; for each rendering a table of methods (Table 1 of the paper),
        of sampling with and without fine-tuning (Table 2), of the learned sampler's inputs, form
        and training (Table 3); and what failed.

    Raises:
        ValueError: no runs.
    """
    if not runs:
        raise ValueError("there are no results to show")
    view = _View(runs)
    parts = [view.header()]
    for rendering in view.values("rendering"):
        for title, table in (
            ("methods", view.methods(rendering)),
            ("sampling and fine-tuning", view.fine_tuning(rendering)),
            ("learned samplers", view.samplers(rendering)),
        ):
            if table:
                parts.append(f"## {rendering}: {title}\n\n{table}")
    return "\n\n".join([*parts, *view.failures()]) + "\n"


class _View:
    """The records of all runs, looked at by method."""

    def __init__(self, runs: Sequence[Results]) -> None:
        self.settings = [run.settings for run in runs]
        self.runs = [[r for r in run.records if "error" not in r] for run in runs]
        self.failed = [r for run in runs for r in run.records if "error" in r]
        self.scenes = max(len({record["scene"] for record in run}) for run in self.runs)
        self.about: dict[str, dict[str, Any]] = {}
        self.weights: dict[str, dict[str, Any]] = {}
        for settings in reversed(self.settings):
            self.about.update(settings.get("methods", {}))
            self.weights.update(settings.get("weights", {}))

    def values(self, name: str, **chosen: Any) -> list[Any]:
        """What a key takes in the records that have the chosen values, in order."""
        return list(dict.fromkeys(r[name] for run in self._chosen(**chosen) for r in run))

    def _chosen(self, **chosen: Any) -> list[list[Record]]:
        items = chosen.items()
        return [[r for r in run if all(r[k] == v for k, v in items)] for run in self.runs]

    def cells(self, figures: Iterable[str], **chosen: Any) -> list[str]:
        """Each figure of one method as text, with its spread."""
        return [_text(figure, mean(self._chosen(**chosen), figure)) for figure in figures]

    def header(self) -> str:
        """What was measured, on what, by what."""
        first = self.settings[0]
        threads, versions = first.get("threads"), first.get("versions", {})
        over = "over the scenes" if len(self.runs) == 1 else f"over {len(self.runs)} runs"
        lines = [
            *([first["note"]] if first.get("note") else []),
            f"Scenes ({len(first['scenes'])}): {', '.join(first['scenes'])}.",
            f"Scenes averaged over {first['shrink']}x{first['shrink']} pixels first."
            if first.get("shrink", 1) > 1
            else "Scenes at the size of their files.",
            f"PSNR (dB) of floor(65535 raw), peak 65535, mean over scenes ± spread {over}; "
            "unclipped: over pixels below saturation after white balance.",
            f"Bits a pixel: positions, values or parameters as coded, {first.get('bits')}-bit "
            "values; in parentheses the whole payload.",
            f"isp_meta {versions.get('isp_meta')}, torch {versions.get('torch')}, "
            f"{threads} thread{'' if threads == 1 else 's'}.",
        ]
        return "\n".join(lines)

    def methods(self, rendering: str) -> str:
        """Table 1: every method that ran."""
        rows = []
        for file in self.values("input", rendering=rendering):
            for method, steps in self._methods(rendering=rendering, input=file):
                where = {"rendering": rendering, "input": file, "method": method}
                where["fine_tune"] = steps
                found = self.cells(_FIGURES, **where)
                size, whole, capture, tuning, rebuilding = (
                    mean(self._chosen(**where), name).value
                    for name in (
                        "bits_per_pixel",
                        "bits_per_pixel_total",
                        "seconds_capture",
                        "seconds_fine_tuning",
                        "seconds_reconstruction",
                    )
                )
                count = mean(self._chosen(**where), "ssim").scenes
                name = f"{method}, tuned {steps}" if steps else method
                seconds = [_seconds(value) for value in (capture, tuning, rebuilding)]
                bits = f"{size or 0:.3f} ({whole or 0:.3f})"
                rows.append([file, self._partial(name, count), bits, *found, *seconds])
        columns = ["input", "method", "bits/pixel", "PSNR", "unclipped", "SSIM"]
        return markdown_table([*columns, "capture", "tuning", "rebuilding"], rows, 2)

    def fine_tuning(self, rendering: str) -> str:
        """Table 2: networks by sampling, without and with fine-tuning."""
        steps = sorted(
            {
                step
                for method in self._networks(rendering)
                for step in self.values("fine_tune", rendering=rendering, method=method)
            }
        )
        rows = []
        for file in self.values("input", rendering=rendering):
            for method in self._networks(rendering):
                where = {"rendering": rendering, "input": file, "method": method}
                found = [self.cells(("psnr", "ssim"), **where, fine_tune=step) for step in steps]
                about = self.about[method]
                names = [about["sampling"], about["reconstruction"], about.get("weights") or ""]
                rows.append([file, *names, *(" / ".join(cell) for cell in found)])
        titles = [f"tuned {step}" if step else "as trained" for step in steps]
        return markdown_table(["input", "sampling", "network", "weights", *titles], rows, 4)

    def samplers(self, rendering: str) -> str:
        """Table 3: what a learned sampler sees, what it chooses, how its partner was trained."""
        rows = []
        for file in self.values("input", rendering=rendering):
            for method in self._networks(rendering):
                about = self.about[method]
                if not about.get("sampler_inputs"):
                    continue
                trained = self.weights.get(about.get("weights") or "", {})
                meta = {"True": "yes", "False": "no"}.get(str(trained.get("meta_loss")), "?")
                where = {"rendering": rendering, "input": file, "method": method}
                for step in self.values("fine_tune", **where):
                    found = self.cells(_FIGURES, **where, fine_tune=step)
                    form = "superpixels" if about["sampling"] == "learned" else "free-form"
                    names = [method, about["sampler_inputs"], form, meta, str(step)]
                    rows.append([file, *names, *found])
        columns = ["input", "method", "sampler sees", "samples by", "meta loss", "tuned"]
        return markdown_table([*columns, "PSNR", "unclipped", "SSIM"], rows, 6)

    def failures(self) -> list[str]:
        """A list of what failed, if anything did."""
        if not self.failed:
            return []
        lines = [
            f"- {', '.join(str(r[k]) for k in ('scene', 'rendering', 'input', 'method') if k in r)}"
            f": {' '.join(r['error'].split())}"
            for r in self.failed
        ]
        return ["## Failed\n\n" + "\n".join(lines)]

    def _methods(self, **chosen: Any) -> list[tuple[str, int]]:
        records = (r for run in self._chosen(**chosen) for r in run)
        return list(dict.fromkeys((r["method"], r["fine_tune"]) for r in records))

    def _networks(self, rendering: str) -> list[str]:
        names = self.values("method", rendering=rendering)
        return [name for name in names if self.about.get(name, {}).get("network")]

    def _partial(self, name: str, count: int) -> str:
        """Means over different scenes do not compare, so say so."""
        return name if count == self.scenes else f"{name} ({count} of {self.scenes} scenes)"


def _text(figure: str, found: Mean) -> str:
    if found.value is None:
        return "–"
    places = 4 if figure == "ssim" else 2
    spread = "" if found.spread is None else f" ± {found.spread:.{places}f}"
    return f"{found.value:.{places}f}{spread}"


def _seconds(value: float | None) -> str:
    return f"{value:.2f} s" if value else ""


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    """A table whose first columns hold names, and the others numbers."""
    if not rows:
        return ""
    rule = ["---"] * names + ["---:"] * (len(columns) - names)
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, rule, *rows))

"""What mkdocs calls while it builds the site."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

DOCS = Path(__file__).resolve().parent
LINK = "\nThis page is a notebook: [tutorial.ipynb](tutorial.ipynb).\n"
RESULTS = DOCS.parent / "benchmarks" / "results"


def on_page_content(html: str, **_: object) -> str:
    """Drops the roles of docstrings (:class:, :func:), which Markdown does not know."""
    return re.sub(r":(?:attr|class|func|meth|mod):(?=<code)", "", html)


def on_files(files: Files, config: MkDocsConfig, **_: object) -> Files:
    """Runs the notebook and adds what it shows as a page."""
    notebook = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, extra_arguments=["--log-level=ERROR"]).execute()
    body, resources = MarkdownExporter().from_notebook_node(notebook)
    files.append(File.generated(config, "tutorial.md", content=body + LINK))
    for name, picture in resources["outputs"].items():
        files.append(File.generated(config, name, content=picture))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Puts the recorded figures where a page asks for them, and drops what is for the tests."""
    markdown = re.sub(r'^```(\w+) skip=".*"$', r"```\1", markdown, flags=re.MULTILINE)
    place = "<!-- benchmarks/results -->"
    if place not in markdown:
        return markdown
    recorded = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")]
    return markdown.replace(place, "\n".join(map(_tables, recorded)) or "Nothing is recorded yet.")


def _tables(result: dict[str, Any]) -> str:
    machine = result["machine"]
    lines = [f"## {machine.get('gpu', machine['cpu'])}", ""]
    lines += [f"{machine['threads']} threads, {machine['system']}, torch {machine['torch']}."]
    if machine["load"] > 0.5:
        lines += [f"The machine was busy (load {machine['load']:.1f})."]
    lines += [""]
    for allocator, timed in result["timed"].items():
        lines += [f"**{allocator}**, {timed['gb_s']:.0f} GB/s", ""]
        lines += ["| operator | | batch × size | native, ms | of peak | others |"]
        lines += ["| --- | --- | --- | ---: | ---: | --- |"]
        lines += [_row(row, timed["gb_s"]) for row in timed["rows"]]
        lines += [""]
    lines += ["| bytes a pixel at the peak, 1024×1024 | | native | others |"]
    lines += ["| --- | --- | ---: | --- |"]
    for row in result["memory"]:
        others = ", ".join(
            f"{form} {n:.0f}" for form, n in row["bytes"].items() if form != "native"
        )
        lines += [f"| {row['op']} | {row['mode']} | {row['bytes']['native']:.0f} | {others} |"]
    if scaling := result.get("threads"):
        counts = list(scaling[0]["ms"])
        lines += ["", f"| native, ms, 1024×1024 | | {' | '.join(f'{n} threads' for n in counts)} |"]
        lines += ["| --- | --- |" + " ---: |" * len(counts)]
        for row in scaling:
            times = " | ".join(f"{row['ms'][n]:.2f}" for n in counts)
            lines += [f"| {row['op']} | {row['mode']} | {times} |"]
    return "\n".join([*lines, ""])


def _row(row: dict[str, Any], peak: float) -> str:
    native = row["ms"]["native"]
    others = ", ".join(f"{f} {ms / native:.1f}×" for f, ms in row["ms"].items() if f != "native")
    batch, *sides = row["size"]
    size = f"{batch} × {'×'.join(map(str, sides))}"
    share = 100 * row["gb_s"] / peak
    return f"| {row['op']} | {row['mode']} | {size} | {native:.2f} | {share:.0f} % | {others} |"

"""``isp-meta doctor``: what of this installation works."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Annotated

import typer

from .console import print_json, progress, show, stop
from .installation import Finding, examine

__all__ = ["command"]


def command(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell what of this installation works: versions, native code, CUDA, weights.

    The exit code is 1 where something is broken or missing that nothing goes on without.

    \b
    Examples:
      isp-meta doctor
      isp-meta doctor --json
    """
    with progress("doctor") as step:
        step("looking")
        findings = examine()
    healthy = all(finding.status == "works" for finding in findings if finding.essential)
    if as_json:
        parts = [dataclasses.asdict(finding) for finding in findings]
        print_json({"healthy": healthy, "parts": parts})
        raise typer.Exit(0 if healthy else 1)
    for group, members in itertools.groupby(findings, lambda finding: finding.group):
        show(f"{group}:")
        for finding in members:
            show(f"  {finding.part:<12} {_mark(finding):<8} {finding.detail}")
            if finding.remedy and finding.status != "works":
                show(f"{'':<23} -> {finding.remedy}")
    if not healthy:
        stop("what is marked in capitals is needed and does not work")


def _mark(finding: Finding) -> str:
    if finding.status == "works":
        return "ok"
    return finding.status.upper() if finding.essential else finding.status

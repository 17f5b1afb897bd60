"""``isp-meta stages``: which stages are installed, and what they take."""

from __future__ import annotations

import contextlib
import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import complain, errors, show, stop
from .pipelines import make_preset

if TYPE_CHECKING:
    from ..pipeline.plugins import Offer
    from ..stage import Range, Stage

__all__ = ["command", "describe"]


def describe(offer: Offer) -> dict[str, Any]:
    """A stage as plain values, for JSON."""
    from ..stage import Range

    stage = offer.stage
    takes = stage.constructor()
    flow: type[Stage] | Stage = stage
    with contextlib.suppress(Exception):  # what some need and give depends on their arguments
        flow = stage()
    return {
        "name": offer.name,
        "package": offer.package,
        "version": offer.version,
        "needs": sorted(flow.needs),
        "gives": sorted(flow.gives),
        "pointwise": bool(stage.pointwise),
        "summary": (inspect.getdoc(stage) or "").partition("\n")[0],
        "parameters": [
            {
                "name": name,
                "default": None if argument.default is argument.empty else argument.default,
                "required": argument.default is argument.empty,
                "range": _range(stage.ranges.get(name, Range())),
            }
            for name, argument in takes.items()
        ],
    }


def _range(allowed: Range) -> str | None:
    from ..stage import Range

    return allowed.unit or None if allowed == Range(unit=allowed.unit) else str(allowed)


def command(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One stage, in full.")] = None,
    toml: Annotated[
        str | None, typer.Option(metavar="PRESET", help="Print this preset as TOML, to start from.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the stages that a pipeline may use.

    \b
    Examples:
      isp-meta stages
      isp-meta stages Demosaic
      isp-meta stages --toml camera > camera.toml
      isp-meta stages --json
    """
    from ..pipeline.plugins import installed

    if toml is not None:
        with errors("stages"):
            typer.echo(make_preset(toml).to_toml(), nl=False)
        return
    found = installed()
    for line in found.broken:
        complain(line)
    offers = list(found.offers)
    if name is not None:
        try:
            offers = [found.find(name)]
        except LookupError as error:
            stop(str(error))
    if as_json:
        typer.echo(json.dumps([describe(offer) for offer in offers], indent=2, default=str))
        return
    for offer in offers:
        _show(offer)
    if name is not None:
        show("\n" + (inspect.getdoc(offers[0].stage) or "no description"))


def _show(offer: Offer) -> None:
    values = describe(offer)
    flow = f"{', '.join(values['needs']) or '?'} -> {', '.join(values['gives']) or '?'}"
    show(f"{offer.name:<23} {flow:<22} {offer.package} {offer.version}")
    for parameter in values["parameters"]:
        default = "required" if parameter["required"] else f"= {parameter['default']!r}"
        show(f"    {parameter['name']} {default}  {parameter['range'] or ''}".rstrip())

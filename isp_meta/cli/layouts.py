"""The options that say how a raw lies in a file without a header."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .console import errors, stop

__all__ = ["Layout", "takes_layout"]

Layout = Any
"""Of a command's ``layout``: RawLayout or None, which the list of options need not load."""


def _size(text: str) -> tuple[int, int]:
    """Width and height of a size such as 4000x3000."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"must be as 4000x3000, not {text!r}")
    return int(match[1]), int(match[2])


def _levels(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    try:
        return tuple(float(level) for level in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"must be as 64 or 64,65,65,64, not {text!r}") from None


def _options(
    *,
    layout: Annotated[
        Path | None,
        typer.Option(
            metavar="TOML", help="How raws without a header lie in their files.", readable=False
        ),
    ] = None,
    raw_size: Annotated[
        Any,
        typer.Option(parser=_size, metavar="WxH", help="Of a raw without a header, photosites."),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(min=8, max=16, help="Of its codes; by default 16.")
    ] = None,
    cfa: Annotated[
        str | None, typer.Option(help="Of its mosaic; W: none; by default RGGB.")
    ] = None,
    black: Annotated[
        Any,
        typer.Option(parser=_levels, metavar="CODE", help="At zero light; by default 0."),
    ] = None,
    white: Annotated[
        float | None, typer.Option(help="Its code at saturation; by default the largest.")
    ] = None,
    packing: Annotated[
        Literal["unpacked", "mipi", "packed"] | None,
        typer.Option(help="Of its codes; by default unpacked."),
    ] = None,
) -> Layout:
    """The layout that these options say, or None."""
    from ..io import RawLayout, read_layout

    given = {"bits": bits, "cfa": cfa, "black": black, "white": white, "packing": packing}
    given = {name: value for name, value in given.items() if value is not None}
    if layout is not None:
        if given or raw_size is not None:
            stop("--layout says it all; leave the other options of a raw without a header out", 2)
        with errors(layout):
            return read_layout(layout)
    if raw_size is None:
        if given:
            stop(f"--{next(iter(given))} goes with --raw-size", 2)
        return None
    try:
        return RawLayout(*raw_size, **given)
    except ValueError as error:
        stop(str(error), 2)


def takes_layout(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of a raw without a header, in place of its ``layout``.

    A call in which they do not go together ends with one line of error and exit code 2.
    """
    offered = inspect.signature(_options, eval_str=True).parameters

    @functools.wraps(function)
    def command(**given: Any) -> Any:
        layout = _options(**{name: given.pop(name) for name in offered})
        return function(layout=layout, **given)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for own in inspect.signature(function, eval_str=True).parameters.values()
        for parameter in (offered.values() if own.name == "layout" else [own])
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command

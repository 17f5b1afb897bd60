"""The options of a capture on the command line: each field's flag, made of what it declares."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..capture import CaptureOptions
from ..capture.options import Option, declared
from .console import stop

__all__ = ["takes_capture_options"]

# What only a program has a use for.
_NO_FLAG = {"cell", "coding", "levels", "subsampling"}


def takes_capture_options(
    *without: str,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command a flag for each option of a capture, in place of its parameter ``options``.

    A call in which they exclude each other ends with one line of error and exit code 2.

    Args:
        without: names of options that the command does not offer.
    """
    offered = [option for option in declared() if option.name not in {*without, *_NO_FLAG}]

    def change(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**given: Any) -> Any:
            chosen = {option.name: given.pop(option.name) for option in offered}
            try:
                options = CaptureOptions(**chosen)
            except ValueError as error:
                stop(str(error), 2)
            return function(options=options, **given)

        parameters = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for own in inspect.signature(function, eval_str=True).parameters.values()
            for each in (map(_parameter, offered) if own.name == "options" else [own])
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return change


def _parameter(option: Option) -> inspect.Parameter:
    """The parameter of a command that stands for an option."""
    more: dict[str, Any] = {}
    if option.name == "size":
        more = {"parser": _bytes, "metavar": "BYTES"}
    elif not option.choices:
        more = {"min": option.low, "max": None if option.high == math.inf else option.high}
    # Of a switch, too, there is one flag: nobody says --no-gps.
    flag = typer.Option(f"--{option.name.replace('_', '-')}", help=option.help, **more)
    # Choices that are numbers are no words to complete, and older versions of click refuse them.
    kind = option.type if option.kind is str else option.kind
    annotation: Any = Annotated[kind | None if option.optional else kind, flag]
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=annotation
    )


def _bytes(text: str) -> int:
    """Bytes of a size such as 300KB: thousands, millions, or none.

    Raises:
        typer.BadParameter: another text.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([km]?)b?", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"must be as 300KB or 1.5MB, not {text!r}")
    return int(float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2]])

"""TOML files, and whether a value of one is what an annotation asks for."""

from __future__ import annotations

import collections.abc
import os
import sys
import types
import typing
from typing import Any

from torch import Tensor

from ..errors import IspMetaError
from .input import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["described", "fits", "parse_toml", "read_text"]

_LARGEST = 1 << 24


def read_text(path: str | os.PathLike[str], error: type[IspMetaError]) -> str:
    """The text of a file that should be TOML.

    Args:
        path: of the file.
        error: raised where it cannot be read, is larger than 16 MiB, or is no UTF-8.
    """
    data = read_bytes(path, error)
    if len(data) > _LARGEST:
        raise error(f"{path}: is no TOML: it has more than {_LARGEST} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{path}: is no TOML: it is no text in UTF-8") from cause


def parse_toml(text: str, name: str, error: type[IspMetaError]) -> dict[str, Any]:
    """The tables of a text.

    Args:
        text: of TOML.
        name: what errors begin with.
        error: raised where it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        raise error(f"{name}: is no TOML: {cause}") from cause
    except (ValueError, RecursionError) as cause:
        raise error(f"{name}: is no TOML that can be read") from cause


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of a file is what an annotation asks for.

    Args:
        value: as TOML has it.
        hint: an annotation as :func:`typing.get_type_hints` gives it. A whole number fits a float,
            a list any sequence of that length, numbers and lists of them a tensor.
    """
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in typing.get_args(hint))
    if origin is typing.Literal:
        return any(value == option and type(value) is type(option) for option in hint.__args__)
    if hint is float or hint is int:
        kinds = (int, float) if hint is float else int
        return isinstance(value, kinds) and not isinstance(value, bool)
    if isinstance(hint, type) and issubclass(hint, Tensor):
        return fits(value, float) or (
            isinstance(value, list) and all(fits(item, hint) for item in value)
        )
    if origin in (list, tuple, collections.abc.Sequence):
        items = typing.get_args(hint)
        if not isinstance(value, (list, tuple)):
            return False
        if origin is tuple and items and items[-1] is not Ellipsis:
            return len(value) == len(items) and all(map(fits, value, items))
        return all(fits(one, next(iter(items), Any)) for one in value)
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, dict)
    return isinstance(hint, type) and isinstance(value, hint)


def described(hint: Any) -> str:
    """What an annotation asks for, in words: "a whole number"."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        texts = [described(o) for o in typing.get_args(hint) if o is not type(None)]
        return " or ".join(dict.fromkeys(texts))
    if origin is typing.Literal:
        return " or ".join(repr(option) for option in hint.__args__)
    if origin in (dict, collections.abc.Mapping):
        return "a table"
    if origin in (list, tuple, collections.abc.Sequence):
        return _described_list(typing.get_args(hint), of_length=origin is tuple)
    if origin is not None or (isinstance(hint, type) and issubclass(hint, Tensor)):
        return "a list of numbers"
    known = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return known.get(hint, f"a {getattr(hint, '__name__', hint)}, which a file cannot hold")


def _described_list(items: tuple[Any, ...], *, of_length: bool) -> str:
    """Such as "a list of 2 numbers"."""
    kinds = {int: "whole numbers", float: "numbers", str: "texts"}
    item = items[0] if items else Any
    named = kinds.get(item, "values")
    if typing.get_origin(item) is typing.Literal:
        named = described(item)
    counted = of_length and items[-1] is not Ellipsis
    return f"a list of {len(items)} {named}" if counted else f"a list of {named}"

"""What is loaded when it is first used: PyTorch, and what packages offer.

PyTorch takes a second to load, and what reads, checks and moves metadata has no use for it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
    from torch.nn import functional as functional

__all__ = ["functional", "load_torch_meanwhile", "loaded", "offers", "torch"]


class _Later:
    """A module that loads as soon as something of it is asked for.

    From then on it has all that the module has as its own, which a compiler can look through.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        return getattr(_fill(self), name)


def _fill(later: _Later) -> ModuleType:
    module = import_module(later.__name__)
    held = {name: value for name, value in vars(module).items() if name[:2] != "__"}
    vars(later).update(held)
    return module


if not TYPE_CHECKING:
    torch, functional = _Later("torch"), _Later("torch.nn.functional")


def loaded() -> None:
    """Has both at hand, for modules that load PyTorch themselves: a compiler cannot load it."""
    for module in (torch, functional):
        if isinstance(module, _Later):
            _fill(module)


def load_torch_meanwhile() -> None:
    """Loads PyTorch in a thread of its own, while this one reads files; whoever uses it waits."""

    def load() -> None:
        # Whoever uses it is told; and where the process ends first, there is nobody to tell.
        with contextlib.suppress(Exception):
            import_module("torch")

    threading.Thread(target=load).start()


def offers(package: str, members: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A ``__getattr__`` by which a package loads what it offers when that is asked for (PEP 562).

    Args:
        package: its name.
        members: names of its modules, and what each gives. A module may not have the name of
            what it gives, unless nobody loads it but by that name: it would stand in its place.

    Returns:
        A function of a name, which gives what a module gives, or a module itself.
    """
    home = {name: module for module, names in members.items() for name in names}

    def get(name: str) -> Any:
        if name in home:
            value = getattr(import_module(f".{home[name]}", package), name)
        elif find_spec(f"{package}.{name}"):
            value = import_module(f".{name}", package)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # What is there is not asked for again, and hides a module of that name.
        setattr(sys.modules[package], name, value)
        return value

    return get

"""The stages that are installed: our own, and those of every package that says it has some.

A package says so in its pyproject.toml, and nothing else is needed:

    [project.entry-points."isp_meta.stages"]
    vignette = "vignette_stage:Vignette"     # a Stage, or a module with several
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

from ..stage import Stage

__all__ = ["GROUP", "Installed", "Offer", "installed"]

GROUP = "isp_meta.stages"
_OURS = "isp-meta"


@dataclass(frozen=True)
class Offer:
    """A stage that a package offers.

    Attributes:
        stage: the class.
        package: by its name for pip. version: of the package.
    """

    stage: type[Stage]
    package: str
    version: str

    @property
    def name(self) -> str:
        """Name of the class, as files write it."""
        return self.stage.__name__

    @property
    def full_name(self) -> str:
        """The name with its package, which is nobody else's: "package:Name"."""
        return f"{self.package}:{self.name}"


@dataclass(frozen=True)
class Installed:
    """All stages that files may name.

    Attributes:
        offers: our own first, then by package and name.
        broken: a line for each entry point that could not be loaded; names its package.
    """

    offers: tuple[Offer, ...]
    broken: tuple[str, ...]

    def find(self, name: str) -> Offer:
        """The stage of that name; our own before another package's.

        Args:
            name: "Name", or "package:Name" where several packages have that name.

        Raises:
            LookupError: there is none, or several; says what there is.
        """
        if found := [offer for offer in self.offers if name == offer.full_name]:
            return found[0]
        found = [offer for offer in self.offers if name == offer.name]
        if len(found) == 1 or (found and found[0].package == _OURS):
            return found[0]
        if found:
            names = " or ".join(repr(offer.full_name) for offer in found)
            raise LookupError(f"several packages have a stage {name!r}; write {names}")
        raise LookupError(self._unknown(name))

    def _unknown(self, name: str) -> str:
        names = sorted({offer.name for offer in self.offers})
        lower = {known.lower(): known for known in names}
        near = difflib.get_close_matches(name.lower(), lower, n=1)
        text = f"there is no stage {name!r}" + (f"; is it {lower[near[0]]!r}?" if near else "")
        broken = "".join(f"; {line}" for line in self.broken)
        return f"{text} (installed: {', '.join(names) or 'none'}{broken})"

    def name_of(self, stage: Stage) -> str:
        """The shortest name that :meth:`find` answers with the class of a stage.

        Raises:
            LookupError: no package offers it.
        """
        for offer in self.offers:
            if offer.stage is type(stage):
                same = [other for other in self.offers if other.name == offer.name]
                return offer.name if same[0] is offer and len(same) == 1 else offer.full_name
        raise LookupError(
            f"{type(stage).__name__} of {type(stage).__module__} is in no installed package's "
            f"entry points {GROUP!r}"
        )


def installed() -> Installed:
    """Looks up what is installed now; a broken package keeps no other from being found."""
    offers: dict[type[Stage], Offer] = {}
    broken = []
    for entry in metadata.entry_points(group=GROUP):
        package, version = _origin(entry)
        try:
            for stage in _stages(entry.load()):
                offers.setdefault(stage, Offer(stage, package, version))
        except (Exception, SystemExit) as error:  # another's code may fail in any way
            cause = f"{type(error).__name__}: {error}".rstrip(": ")
            broken.append(
                f"package {package!r} is broken: its entry point {entry.name!r} "
                f"({entry.value}) fails with {' '.join(cause.split())}"
            )
    ordered = sorted(offers.values(), key=lambda o: (o.package != _OURS, o.package, o.name))
    return Installed(tuple(ordered), tuple(sorted(broken)))


def _origin(entry: metadata.EntryPoint) -> tuple[str, str]:
    try:
        return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "")
    except Exception:  # its METADATA may be missing or damaged
        return "unknown", ""


def _stages(found: Any) -> Iterator[type[Stage]]:
    if isinstance(found, ModuleType):
        names = getattr(found, "__all__", [name for name in vars(found) if name[0] != "_"])
        values = [getattr(found, name) for name in names]
        here = [v for v in values if _is_stage(v) and v.__module__ != Stage.__module__]
        if not here:
            raise TypeError(f"module {found.__name__} holds no Stage")
        yield from here
    elif _is_stage(found):
        yield found
    else:
        raise TypeError(f"{found!r} is no Stage")


def _is_stage(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Stage) and not inspect.isabstract(value)

"""Which stage an error is of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import IspMetaError
from ..stage import Stage

__all__ = ["blaming", "named"]


def named(position: int, stage: Stage) -> str:
    """A stage of a pipeline, for people."""
    return f"stage {position} ({type(stage).__name__})"


@contextmanager
def blaming(position: int, stage: Stage) -> Iterator[None]:
    """Puts the stage's place and class before the text of any error raised within."""
    try:
        yield
    except Exception as error:
        name = type(stage).__name__

        def told(text: str) -> str:
            return f"{named(position, stage)}: {text.removeprefix(f'{name}: ')}"

        if isinstance(error, IspMetaError):
            error.text = told(error.text)
        elif error.args and isinstance(error.args[0], str):
            error.args = (told(error.args[0]), *error.args[1:])
        raise

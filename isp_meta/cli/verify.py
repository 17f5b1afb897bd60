"""``isp-meta verify``: is the raw still there, whole, and this picture's?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import IspMetaError, PictureMismatch
from .console import each, exit_code, print_json, say
from .pipes import named, source

__all__ = ["command"]


def command(
    jpegs: Annotated[
        list[Path], typer.Argument(metavar="JPEG", help="JPEG, PNG, TIFF.", readable=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check JPEGs. Exit code: 0 exact, 3 no metadata, 4 corrupt, 5 edited, 9 recompressed.

    \b
    Examples:
      isp-meta verify photo.jpg
      isp-meta verify -q photo.jpg && echo whole
      isp-meta verify - < photo.jpg
      isp-meta verify *.jpg --json
    """
    from ..recovery import verify

    verdicts: list[dict[str, Any]] = []

    def work(jpeg: Path) -> None:
        verdict: dict[str, Any] = {"picture": str(jpeg), "code": 0}
        verdicts.append(verdict)
        try:
            metadata = verify(source(jpeg))
        except IspMetaError as error:
            verdict.update(code=exit_code(error), error=named(str(error)))
            if isinstance(error, PictureMismatch) and error.match:
                verdict["match"] = error.match
            raise
        samples, where = len(metadata.stored.samples), str(metadata.source)
        verdict.update(match=metadata.match, samples=samples, source=named(where))
        if not as_json:
            say(f"{source(jpeg)}: exact, {samples:,} samples in {where}")

    try:
        each(jpegs, work)
    finally:
        if as_json:
            print_json(verdicts)

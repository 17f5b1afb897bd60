"""One file's work: bytes in, bytes and a status out, and nothing else changes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..carriers.sidecar import sidecar_path
from ..errors import IspMetaError
from .jobs import Job

__all__ = ["Done", "work"]


@dataclass(frozen=True)
class Done:
    """What became of a file.

    Attributes:
        data: the result; None of a job without one, and of a failure.
        beside: the sidecar of the result, if it has one.
        megapixels: of the picture; 0 of a failure.
        kind: name of the error's type; "" where all went well.
        error: the file, the cause, what to do. remedy: as of :class:`isp_meta.IspMetaError`.
    """

    data: bytes | None = None
    beside: bytes | None = None
    megapixels: float = 0.0
    kind: str = ""
    error: str = ""
    remedy: str = ""


def work(
    job: Job, name: str, data: bytes, beside: bytes | None = None, device: str = "cpu"
) -> Done:
    """Does a job to a file's bytes; what goes wrong is returned and not raised.

    LibRaw's errors, and the names of pictures' kinds, come with files, so that the bytes lie in a
    folder of their own meanwhile.

    Args:
        job: to do.
        name: of the file, relative, with slashes; its ending tells its kind, and errors name it.
        data: the file. beside: the one that belongs to it, if there is one.
        device: of reconstruction.
    """
    place = PurePosixPath(name)
    with tempfile.TemporaryDirectory(prefix="isp-meta-") as folder:
        source = Path(folder) / "from" / place.name
        target = Path(folder) / "to" / f"{place.stem}{job.ending}"
        try:
            source.parent.mkdir()
            target.parent.mkdir()
            source.write_bytes(data)
            if beside is not None:
                source.with_name(source.name + job.companion).write_bytes(beside)
            megapixels = job.perform(source, target, device)
            result = None if job.ending is None else target.read_bytes()
            extra = sidecar_path(target).read_bytes() if job.sidecar else None
            return Done(result, extra, megapixels)
        except Exception as error:  # a defect of ours in one file must not end the others, either
            text = _text(error, name)
            for path in (source.parent, target.parent):
                text = text.replace(f"{path}/", name.removesuffix(place.name))
            remedy = error.remedy if isinstance(error, IspMetaError) else ""
            return Done(kind=type(error).__name__, error=text, remedy=remedy)


def _text(error: Exception, name: str) -> str:
    if isinstance(error, IspMetaError):
        text = error.text
    elif isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        text = f"{name}: not enough memory for this picture"
    elif isinstance(error, OSError):
        text = f"{name}: {error.strerror or error}"
    elif isinstance(error, ValueError):
        text = f"{name}: {error}"
    else:
        text = f"{name}: {type(error).__name__}, {error}"
    return " ".join(text.splitlines())

"""Everything isp_meta raises for a reason that the caller can do something about.

All derive from :class:`IspMetaError`, so that one ``except`` clause (and the command line) can turn
them into one line: the file, the cause, what to do. A wrong argument (shape, dtype, range) is a
plain ``ValueError`` or ``TypeError`` as everywhere in Python.
"""

from __future__ import annotations

__all__ = [
    "BatchError",
    "CarrierError",
    "CarrierWarning",
    "ExportError",
    "ImageFileError",
    "IspMetaError",
    "NotARawFile",
    "OutputError",
    "PayloadCorrupt",
    "PayloadMissing",
    "PictureMismatch",
    "PictureRecompressed",
    "PipelineFileError",
    "PipelineOrderError",
    "RateNotReached",
    "RawFileDamaged",
    "RawFileError",
    "RawFileUnsupported",
    "ResultsError",
    "TrainingError",
    "TrainingSetError",
    "WeightsFileError",
]


class IspMetaError(Exception):
    """Base of all errors below.

    Attributes:
        text: the file and the cause.
        remedy: name of the argument by which the call goes on all the same, such as "overwrite",
            or name and value, "layout=RawLayout(…)"; "": there is none.
    """

    def __init__(self, text: str = "", *, remedy: str = "") -> None:
        super().__init__(text)
        self.text, self.remedy = text, remedy

    def __str__(self) -> str:
        value = "" if "=" in self.remedy else "=True"
        return f"{self.text}; pass {self.remedy}{value}" if self.remedy else self.text


class RawFileError(IspMetaError):
    """A raw file that cannot be read: missing, or for one of the three reasons below."""


class RawFileDamaged(RawFileError):
    """A raw file that is cut off or damaged: the text says what, and how many bytes are there."""


class RawFileUnsupported(RawFileError):
    """A whole raw file of a kind that is not read: the text names it, and what helps."""


class NotARawFile(RawFileError):
    """A file that holds no raw picture, or does not say so: the text says what it is."""


class ImageFileError(IspMetaError):
    """A rendered picture (JPEG, PNG, TIFF) that cannot be read or is too large to be one."""


class OutputError(IspMetaError):
    """A file that cannot be written: it exists already, the disk is full, no permission."""


class CarrierError(IspMetaError):
    """A container that cannot hold a payload, or whose structure is broken."""


class CarrierWarning(UserWarning):
    """Something else in a picture's file that does not survive the metadata, and what helps."""


class PayloadMissing(IspMetaError):
    """The picture carries no raw metadata, and no sidecar lies beside it."""


class PayloadCorrupt(IspMetaError):
    """Raw metadata is present but damaged, or of a version that this reader does not know."""


class RateNotReached(IspMetaError, ValueError):
    """No cell and step give a picture's metadata the size or the quality that was asked for."""


class PictureMismatch(IspMetaError):
    """The metadata is intact, but the picture around it is not the one it was made for.

    Attributes:
        match: what the picture is then, as in :class:`isp_meta.Metadata`, or "": not told.
    """

    def __init__(self, text: str, match: str = "", *, remedy: str = "") -> None:
        super().__init__(text, remedy=remedy)
        self.match = match


class PictureRecompressed(PictureMismatch):
    """The picture was compressed again since; recovery works, a little less exactly."""


class PipelineOrderError(IspMetaError, ValueError):
    """A stage stands before the one that makes what it needs.

    Attributes:
        position: of that stage in its pipeline, from 0; -1 where none is meant.
    """

    def __init__(self, text: str, position: int = -1) -> None:
        super().__init__(text)
        self.position = position


class PipelineFileError(IspMetaError, ValueError):
    """A pipeline's file that cannot be read, or a pipeline that a file cannot hold."""


class TrainingSetError(IspMetaError):
    """A training set that cannot be made or read: no pictures, a missing or damaged part."""


class ResultsError(IspMetaError):
    """Results of a benchmark that cannot be read, or that were measured with other settings."""


class BatchError(IspMetaError):
    """A batch that cannot start or go on: its folders, its manifest, or its workers."""


class ExportError(IspMetaError):
    """A pipeline that another runtime's format cannot express, or not rightly."""


class TrainingError(IspMetaError, ValueError):
    """A training that cannot start or go on: its config, a checkpoint, or a loss gone astray."""


class WeightsFileError(IspMetaError):
    """A file of trained weights that cannot be read, or that belongs to another network."""

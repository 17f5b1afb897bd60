"""The file that a rendering becomes: its kind by the ending of its name, where metadata goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .. import carriers, io
from ..errors import CarrierError, ImageFileError, OutputError
from ..frame import Frame
from .options import CaptureOptions

__all__ = ["PictureFile"]

_PLACES: dict[str, tuple[str, ...]] = {
    ".jpg": carriers.jpeg.PLACES,
    ".jpeg": carriers.jpeg.PLACES,
    ".png": carriers.png.PLACES,
    ".tif": carriers.tiff.PLACES,
    ".tiff": carriers.tiff.PLACES,
}


@dataclass(frozen=True)
class PictureFile:
    """A file to write: JPEG, PNG or TIFF.

    Attributes:
        path: its name.
        depth: bits of a sample: 8, or 16 in a PNG or TIFF.
        options: of the capture that it is for.
    """

    path: Path
    depth: int
    options: CaptureOptions

    @classmethod
    def of(cls, path: Path, options: CaptureOptions) -> PictureFile:
        """The file of that name; 16 bits of a TIFF where the options ask for no depth, else 8.

        Raises:
            OutputError: its name has the ending of none of them.
            ValueError: depth or carrier do not go with that kind of file.
        """
        if path.suffix.lower() not in _PLACES:
            raise OutputError(f"{path}: name it .jpg, .png or .tif")
        file = cls(path, options.depth or 8, options)
        if options.depth is None and file.places == carriers.tiff.PLACES:
            file = cls(path, 16, options)
        if file.depth != 8 and file.places == carriers.jpeg.PLACES:
            raise ValueError(f"{path} takes 8 bits, not {file.depth}")
        known = (*file.places, "sidecar")
        if options.carrier is not None and options.carrier not in known:
            raise ValueError(
                f"carrier must be {' or '.join(known)} for {path}, not {options.carrier!r}"
            )
        return file

    @property
    def places(self) -> tuple[str, ...]:
        """Where in the file metadata can lie."""
        return _PLACES[self.path.suffix.lower()]

    def encode(self, frame: Frame) -> bytes:
        """A rendered frame, with ``srgb``, as such a file."""
        srgb, camera, space = frame.require("srgb", "embed"), frame.camera, frame.space
        if self.places == carriers.png.PLACES:
            return io.encode_png(srgb, camera=camera, space=space, bits=self.depth)
        if self.places == carriers.tiff.PLACES:
            return io.encode_tiff(srgb, camera=camera, space=space, bits=self.depth)
        quality, subsampling = self.options.quality, self.options.subsampling
        return io.encode_jpeg(
            srgb, quality=quality, subsampling=subsampling, camera=camera, space=space
        )

    def strip(self, existing: str | os.PathLike[str]) -> bytes:
        """An existing picture without metadata.

        Raises:
            ImageFileError: it cannot be read.
            CarrierError: it is damaged, or of another kind than this file.
        """
        data = io.read_bytes(existing, ImageFileError)
        try:
            places = carriers.places(data)
            data = carriers.strip(data)
        except CarrierError as error:
            raise CarrierError(f"{existing}: {error}") from error
        if places != self.places:
            raise CarrierError(
                f"{existing}: is of another kind than {self.path}; give both the same ending"
            )
        return data

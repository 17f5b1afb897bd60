"""The file that a rendering becomes: its kind by the ending of its name, where metadata goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import carriers, io
from ..errors import CarrierError
from ..frame import Frame

__all__ = ["PictureFile"]

_PLACES = {".png": carriers.png.PLACES} | dict.fromkeys((".tif", ".tiff"), carriers.tiff.PLACES)


@dataclass(frozen=True)
class PictureFile:
    """A file to write: PNG, TIFF, or JPEG by any other ending.

    Attributes:
        path: its name.
        depth: bits of a sample: 8, or 16 in a PNG or TIFF.
        carrier: one of :attr:`places`, "sidecar", or None for the first of them.
    """

    path: Path
    depth: int
    carrier: str | None

    @classmethod
    def of(cls, path: Path, depth: int | None, carrier: str | None) -> PictureFile:
        """The file of that name.

        Args:
            depth: None: 16 for a TIFF, else 8.

        Raises:
            ValueError: depth or carrier do not go with that kind of file.
        """
        file = cls(path, 8 if depth is None else depth, carrier)
        if depth is None and file.places == carriers.tiff.PLACES:
            file = cls(path, 16, carrier)
        depths = (8,) if file.places == carriers.jpeg.PLACES else (8, 16)
        if file.depth not in depths:
            raise ValueError(f"{path} takes {' or '.join(map(str, depths))} bits, not {depth}")
        known = (*file.places, "sidecar")
        if carrier is not None and carrier not in known:
            raise ValueError(f"carrier must be {' or '.join(known)} for {path}, not {carrier!r}")
        return file

    @property
    def places(self) -> tuple[str, ...]:
        """Where in the file metadata can lie."""
        return _PLACES.get(self.path.suffix.lower(), carriers.jpeg.PLACES)

    def encode(self, frame: Frame, quality: int, subsampling: str) -> bytes:
        """A rendered frame as such a file.

        Args:
            frame: with ``srgb``.
            quality, subsampling: of a JPEG.
        """
        srgb, camera, space = frame.require("srgb", "embed"), frame.camera, frame.space
        if self.places == carriers.png.PLACES:
            return io.encode_png(srgb, camera=camera, space=space, bits=self.depth)
        if self.places == carriers.tiff.PLACES:
            return io.encode_tiff(srgb, camera=camera, space=space, bits=self.depth)
        return io.encode_jpeg(
            srgb, quality=quality, subsampling=subsampling, camera=camera, space=space
        )

    def strip(self, data: bytes, name: str) -> bytes:
        """An existing picture without metadata.

        Args:
            data: its bytes. name: of its file, for error messages.

        Raises:
            CarrierError: it is damaged, or of another kind than this file.
        """
        try:
            places = carriers.places(data)
            data = carriers.strip(data)
        except CarrierError as error:
            raise CarrierError(f"{name}: {error}") from error
        if places != self.places:
            raise CarrierError(
                f"{name}: is of another kind than {self.path}; give both the same ending"
            )
        return data

"""The picture that is to carry, as whoever recovers from it will decode it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor

from .. import codec, io
from ..decoder import Guide
from ..errors import PictureMismatch
from ..frame import Frame
from ..registration import Placement, Registration, register
from ..samples import Samples

__all__ = ["FinishedPicture"]


@dataclass(frozen=True, eq=False)
class FinishedPicture:
    """A picture's file without metadata, and the raw that belongs to its pixels.

    Attributes:
        frame: ``raw`` in the picture's order of pixels, ``srgb`` as decoded, ``camera``; with
            ``samples`` where the pipeline has chosen them.
        data: the file. name: of it, for error messages.
        pixels: (3, H, W) uint8, as decoded.
        registration: where a picture that existed lies in the raw, and how well it fits; else None.
    """

    frame: Frame
    data: bytes
    name: str
    pixels: Tensor
    registration: Registration | None = None

    @classmethod
    def of(cls, frame: Frame, data: bytes, name: str) -> FinishedPicture:
        """The one that was rendered from a frame."""
        codes = io.decode_image(data, name, deep=True)
        srgb = io.display_values(codes).to(frame.require("raw", "embed").dtype)
        return cls(frame.replace(srgb=srgb), data, name, io.eight_bits(codes))

    @classmethod
    def found(cls, frame: Frame, data: bytes, name: str, force: bool) -> FinishedPicture:
        """One that existed, and shows some of a frame's raw, turned or cropped.

        Args:
            force: goes on although it does not seem to.

        Raises:
            PictureMismatch: it shows something else, or not the sensor's own pixels.
        """
        made = cls.of(frame, data, name)
        raw: Tensor = frame.require("raw", "embed")
        try:
            found = register(made.pixels, raw, frame.camera.orientation, force=force)
        except PictureMismatch as error:
            raise PictureMismatch(f"{name}: {error}") from None
        # As if the sensor had delivered the picture's pixels, in their order.
        place = found.placement
        editing = io.placed_tags(frame.camera, place.turn, (place.top, place.left), found.size)
        frame = made.frame.replace(
            raw=place.apply(raw, found.size).contiguous(),
            camera=place.camera(frame.camera, found.raw_size).replace(editing=editing),
            samples=None,
        )
        return cls(frame, data, name, made.pixels, found)

    @cached_property
    def guide(self) -> Guide:
        """As the decoder sees it."""
        return Guide(self.frame.require("srgb", "embed"))

    @cached_property
    def shown(self) -> Tensor | None:
        """(H, W) bool, where it shows what the raw holds; None: everywhere."""
        shown = None if self.registration is None else self.registration.shown()
        return None if shown is None or bool(shown.all()) else shown

    def keep(self, samples: Samples) -> Samples:
        """Those of some samples that the picture shows."""
        return samples if self.registration is None else self.registration.keep(samples)

    def mosaic(self, codes: Tensor, lossless: bool | Literal["alone"]) -> codec.Mosaic:
        """All of the sensor's codes, to be kept without loss.

        Args:
            codes: (1, H, W). lossless: "alone": not predicted from the picture's pixels.

        Raises:
            PictureMismatch: the picture is turned, cropped or of another size.
        """
        size, wanted = self.pixels.shape[1:], codes.shape[1:]
        moved = self.registration is not None and self.registration.placement != Placement()
        if moved or size != wanted:
            raise PictureMismatch(
                f"a mosaic of {wanted[1]}x{wanted[0]} pixels cannot be kept without loss in "
                "a picture that is turned, cropped or of another size, "
                f"{size[1]}x{size[0]}; embed without lossless"
            )
        guide = None if lossless == "alone" else self.pixels
        return codec.Mosaic.of(codes, self.frame.camera.cfa, pixels=guide)

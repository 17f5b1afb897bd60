"""The finished pictures that methods are tried on: how a scene was rendered, what its file kept.

raw ─▶ Rendering ─▶ srgb, not rounded ─▶ FileInput (16 bits, 8 bits or JPEG) ─▶ srgb
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .. import io
from ..errors import PipelineOrderError
from ..frame import Frame
from ..pipeline import Pipeline
from ..scenes import render_scene, without_file
from ..stages import quantize

__all__ = ["FileInput", "Rendering"]


@dataclass(frozen=True, eq=False)
class Rendering:
    """A camera's way from raw to a finished picture, under the name that tables show.

    Attributes:
        name: for tables.
        pipeline: its stages up to the last that gives ``raw`` are left out, for a scene's raw is
            the truth; so are Quantize and Jpeg, for :class:`FileInput` alone says what is lost.

    Raises:
        PipelineOrderError: what remains needs more than ``raw``, or gives no ``srgb``.
    """

    name: str
    pipeline: Pipeline

    def __post_init__(self) -> None:
        stages = list(self.pipeline)
        start = max((i + 1 for i, stage in enumerate(stages) if "raw" in stage.gives), default=0)
        object.__setattr__(self, "pipeline", without_file(Pipeline(stages[start:])))
        if not self.pipeline.needs <= {"raw"} or "srgb" not in self.pipeline.gives:
            raise PipelineOrderError(
                f"{self.name}: must lead from raw to srgb, but needs "
                f"{', '.join(sorted(self.pipeline.needs)) or 'nothing'} and gives "
                f"{', '.join(sorted(self.pipeline.gives)) or 'nothing'}"
            )

    def __call__(self, scene: Frame) -> Tensor:
        """(3, H, W) srgb in [0, 1], not rounded, of a frame with ``raw``."""
        srgb: Tensor = render_scene(scene, self.pipeline).require("srgb", self.name)
        return srgb


@dataclass(frozen=True)
class FileInput:
    """What a file keeps of a finished picture, and so what a method is given.

    Attributes:
        bits: 1 to 16; a JPEG has 8.
        quality: of a JPEG with 4:4:4 chroma, encoded and decoded again; None: lossless.

    Raises:
        ValueError: out of range.
    """

    bits: int = 8
    quality: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"bits must be 1 to 16, not {self.bits}")
        if self.quality is not None and not (self.bits == 8 and 1 <= self.quality <= 100):
            raise ValueError(f"a JPEG has 8 bits and a quality of 1 to 100, not {self.quality}")

    @property
    def name(self) -> str:
        """Such as ``16bit`` or ``jpeg95``."""
        return f"{self.bits}bit" if self.quality is None else f"jpeg{self.quality}"

    def __call__(self, srgb: Tensor) -> Tensor:
        """What is read from the file: (3, H, W) in [0, 1] of (3, H, W) in [0, 1]."""
        if self.quality is None:
            return quantize(srgb, self.bits)
        decoded = io.decode_image(io.encode_jpeg(srgb, quality=self.quality), self.name)
        return decoded.to(srgb).div_(255)

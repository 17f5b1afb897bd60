"""One picture on its way, and who chooses and who uses what is kept of its raw.

A :class:`Frame` is one photograph at any point between sensor and file. Each stage reads some of
its fields and fills others; the names of those fields are the whole contract:

    codes ──BlackLevel──▶ mosaic ──Demosaic──▶ raw ──WhiteBalance──▶ rgb ──Gamma──▶ srgb
                                                └────────── SampleMetadata ─────────┴──▶ samples
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .camera import Camera
from .errors import PipelineOrderError
from .printing import Brief
from .samples import Samples

__all__ = ["Frame", "Reconstructor", "Sampler", "all_finite"]


def all_finite(picture: Tensor) -> bool:
    """Whether no value of any shape is infinite or not a number; takes no memory for the answer."""
    if not picture.numel():
        return True
    return all(bool(extreme.isfinite()) for extreme in torch.aminmax(picture.detach()))


@dataclass(frozen=True, eq=False, repr=False)
class Frame(Brief):
    """One picture on its way from sensor to file, or back.

    Attributes:
        camera: the sensor and its calibration.
        codes: (1, H, W) float, the mosaic in the sensor's codes, black level included; (3, H, W)
            under a camera whose ``cfa`` is "RGB", which has all colors at every pixel.
        mosaic: of that shape, linear, black 0, saturation 1.
        raw: (3, H, W) float, demosaiced linear raw-RGB in [0, 1], camera color, no white balance.
        rgb: (3, H, W) float, the picture under way from raw to display, linear or toned.
        srgb: (3, H, W) float in [0, 1], the finished picture, encoded for display.
        samples: raw pixels kept from it.
        space: color space of ``srgb``: "srgb", "display-p3" or "rec2020".

    A field is None until a stage fills it. Never changed in place: stages return a new Frame that
    shares the tensors it did not touch.
    """

    camera: Camera = field(default_factory=Camera)
    codes: Tensor | None = None
    mosaic: Tensor | None = None
    raw: Tensor | None = None
    rgb: Tensor | None = None
    srgb: Tensor | None = None
    samples: Samples | None = None
    space: str = "srgb"

    FIELDS: ClassVar[tuple[str, ...]] = ("codes", "mosaic", "raw", "rgb", "srgb", "samples")

    def replace(self, **changes: Any) -> Frame:
        """A copy with some fields changed; tensors are shared, not copied."""
        return dataclasses.replace(self, **changes)

    def to(self, device: str | torch.device) -> Frame:
        """The same with its fields on a device."""
        return self.replace(**{name: getattr(self, name).to(device) for name in self.filled})

    def require(self, name: str, by: str) -> Any:
        """The field of that name.

        Raises:
            PipelineOrderError: it is still empty; the text names ``by``, who asked.
        """
        value = getattr(self, name)
        if value is None:
            raise PipelineOrderError(f"{by} needs frame.{name}, which is still empty")
        return value

    @property
    def filled(self) -> frozenset[str]:
        """Names of the fields that are not None."""
        return frozenset(name for name in self.FIELDS if getattr(self, name) is not None)


class Sampler(nn.Module, ABC):
    """Chooses the pixels worth keeping: Frame with ``raw`` and ``srgb`` in, Samples out."""

    needs: frozenset[str] = frozenset({"raw", "srgb"})
    gives: frozenset[str] = frozenset({"samples"})

    @abstractmethod
    def forward(self, frame: Frame) -> Samples:
        """Returns samples of ``frame.raw``."""


class Reconstructor(nn.Module, ABC):
    """Rebuilds raw: Frame with ``srgb`` and ``samples`` in, (3, H, W) linear raw-RGB out."""

    needs: frozenset[str] = frozenset({"srgb", "samples"})
    gives: frozenset[str] = frozenset({"raw"})
    takes_controls: ClassVar[bool] = False
    """Whether control values, which are no raw, will do; see :class:`isp_meta.samples.Samples`."""

    @abstractmethod
    def forward(self, frame: Frame) -> Tensor:
        """Returns (3, H, W) in [0, 1]; equal to measured samples at their pixels."""

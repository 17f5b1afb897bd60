"""What page.js is given: pictures with the light of their raw."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from .embedding import base64_text, json_text, png_uri
from .packing import pack
from .tones import Tones
from .windows import burnt, dark

__all__ = ["Seen", "viewer_data"]

# Of the packed light of the whole picture: beyond it that is reduced further.
_MOST_BYTES = 2_600_000
_DETAIL = (360, 480)


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture and its raw, upright.

    Attributes:
        srgb: (3, H, W) the picture. light: (3, H, W) linear light of its raw.
        shown: (3, h, w) the picture, display-linear, reduced. raw: (3, h, w) its raw likewise, in
            its tones. tones: what makes light so.
    """

    srgb: Tensor
    light: Tensor
    shown: Tensor
    raw: Tensor
    tones: Tones

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the whole picture."""
        return self.srgb.shape[1], self.srgb.shape[2]


def viewer_data(seen: Seen) -> str:
    """JSON: for each view its name, size, peak and packed light, and the picture but for the first.

    The first view's picture is on the page anyway.
    """
    peak = max(1.0, float(seen.raw.amax()))
    small = seen.raw
    packed = pack(small, peak)
    while len(packed) > _MOST_BYTES:
        scale = 0.97 * (_MOST_BYTES / len(packed)) ** 0.5
        size = max(1, int(small.shape[1] * scale)), max(1, int(small.shape[2] * scale))
        small = functional.adaptive_avg_pool2d(seen.raw, size)
        packed = pack(small, peak)
    views = [_view("Whole picture", small, peak, packed, None)]
    for name, find in (("Highlights", burnt), ("Shadows", dark)):
        window = find(seen.shown, seen.raw, _DETAIL, seen.size)
        light = seen.tones(window.of(seen.light))
        peak = max(1.0, float(light.amax()))
        views.append(_view(name, light, peak, pack(light, peak), window.of(seen.srgb)))
    return json_text(views)


def _view(
    name: str, light: Tensor, peak: float, packed: bytes, picture: Tensor | None
) -> dict[str, object]:
    return {
        "name": name,
        "height": light.shape[1],
        "width": light.shape[2],
        "peak": peak,
        "light": base64_text(packed),
        "picture": None if picture is None else png_uri(picture),
    }

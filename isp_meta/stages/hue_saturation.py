"""Hue, saturation and value of single colors: a profile's tables, and plain saturation."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from ..camera import Camera
from ..colorimetry import SPACES, TRANSFERS
from ..frame import Frame
from ..stage import Range, Stage
from .camera_profile import first_weight
from .color_matrix import color_matrix
from .color_space import luminance

__all__ = [
    "HueSaturationMap",
    "LookTable",
    "Saturation",
    "ValueEncoding",
    "hsv_to_rgb",
    "hue_saturation_map",
    "rgb_to_hsv",
    "saturation",
]

ValueEncoding = Literal["linear", "srgb"]

# Moves nothing: one hue, two saturations, one value.
_IDENTITY = (((0.0, 1.0, 1.0),), ((0.0, 1.0, 1.0),))


def rgb_to_hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value of a color.

    Args:
        rgb: (..., 3, H, W), at least 0.

    Returns:
        Three of (..., H, W): hue from 0 to 6, red 0, green 2, blue 4, gray 0; saturation,
        (max - min) / max; value, max. Gradients are finite, also at gray.

    Source: Smith, "Color gamut transform pairs", SIGGRAPH 1978.
    """
    red, green, blue = rgb.unbind(-3)
    value = rgb.amax(-3)
    chroma = value - rgb.amin(-3)
    # Less is gray, and black, to the dtype's precision.
    least = torch.finfo(rgb.dtype).eps
    per_chroma = chroma.clamp(min=least).reciprocal()
    hue = torch.where(
        value == red,
        (green - blue) * per_chroma,
        torch.where(value == green, 2 + (blue - red) * per_chroma, 4 + (red - green) * per_chroma),
    )
    return _wrap(hue), chroma / value.clamp(min=least), value


def _wrap(hue: Tensor) -> Tensor:
    # torch.remainder is ten times slower.
    return hue - 6 * (hue / 6).floor()


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Undoes :func:`rgb_to_hsv`.

    Args:
        hue: (..., H, W), any real number: it wraps around at 6.
        saturation, value: (..., H, W).

    Returns:
        (..., 3, H, W)
    """
    depth = value * saturation
    channels = []
    for phase in (5, 3, 1):
        place = _wrap(hue + phase)
        channels.append(value - depth * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.stack(channels, -3)


def _look_up(
    table: Tensor, hue: Tensor, saturation: Tensor, value: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Trilinear interpolation; (...) each of hue shift, saturation scale and value scale."""
    hues, saturations, values, _ = table.shape
    # The first hue again behind the last, where hue wraps around; one plane a quantity, since
    # look-ups of triples are slow.
    wrapped = torch.cat([table, table[:1]]).to(hue).flatten(0, 2)
    planes = [plane.contiguous() for plane in wrapped.unbind(1)]

    def split(position: Tensor, last: int) -> tuple[Tensor, Tensor]:
        position = position.clamp(0, last + 1)
        cell = position.detach().clamp(max=last).long()
        return cell, position - cell

    corner, along_hue = split(hue * (hues / 6), hues - 1)
    cell, along_saturation = split(saturation * (saturations - 1), saturations - 2)
    corner = corner.mul_(saturations).add_(cell)
    along_value = None
    if values > 1:
        cell, along_value = split(value * (values - 1), values - 2)
        corner = corner.mul_(values).add_(cell)
    corner = corner.flatten()

    def interpolate(plane: Tensor) -> Tensor:
        def at(offset: int) -> Tensor:
            # The plane moves by the offset, not the index of every pixel.
            return plane[offset:].index_select(0, corner).view_as(hue)

        def along(offset: int) -> Tensor:
            found = at(offset)
            return found if along_value is None else found.lerp(at(offset + 1), along_value)

        next_hue = saturations * values
        low = along(0).lerp(along(next_hue), along_hue)
        high = along(values).lerp(along(next_hue + values), along_hue)
        return low.lerp(high, along_saturation)

    shift, saturation_scale, value_scale = (interpolate(plane) for plane in planes)
    return shift, saturation_scale, value_scale


def hue_saturation_map(
    rgb: Tensor, table: Tensor, encoding: ValueEncoding = "linear", clip: bool = True
) -> Tensor:
    """Moves hue, saturation and value of every color as a table says.

        hue' = hue + shift,  saturation' = min(saturation · scale, 1),  value' = value · scale

    The table is interpolated linearly over hue, which wraps around, saturation and value.

    Args:
        rgb: (..., 3, H, W) linear ProPhoto RGB; below 0 taken for 0, above 1 as the table's end.
        table: (hues, saturations >= 2, values, 3): hue shift in degrees, saturation scale, value
            scale; brought to the dtype and device of ``rgb``.
        encoding: "srgb" looks value up, and scales it, in sRGB's encoding; without effect in a
            table of a single value division, where value is not looked up.
        clip: confine to 1, before and after.

    Returns:
        (..., 3, H, W), at least 0; gradients are finite everywhere, at gray too.

    Raises:
        ValueError: shapes do not fit.

    Source: DNG specification 1.7.1, ProfileHueSatMapData1, ProfileHueSatMapEncoding, and chapter 6,
    "Hue/Saturation/Value Mapping Table".
    """
    if rgb.dim() < 3 or rgb.shape[-3] != 3:
        raise ValueError(f"rgb must be (..., 3, H, W), not {tuple(rgb.shape)}")
    _check_table(table)
    encoded = encoding == "srgb" and table.shape[2] > 1
    hue, saturation, value = rgb_to_hsv(rgb.clamp(0, 1) if clip else rgb.clamp(min=0))
    if encoded:
        value = TRANSFERS["srgb"].encode(value)
    shift, saturation_scale, value_scale = _look_up(table, hue, saturation, value)
    value = (value * value_scale).clamp(0, 1 if clip else None)
    if encoded:
        value = TRANSFERS["srgb"].decode(value)
    return hsv_to_rgb(hue + shift / 60, (saturation * saturation_scale).clamp(max=1), value)


def _check_table(table: Tensor) -> None:
    if table.dim() != 4 or table.shape[-1] != 3 or table.shape[1] < 2 or 0 in table.shape:
        raise ValueError(
            f"a table is (hues, saturations >= 2, values, 3), not {tuple(table.shape)}"
        )


class HueSaturationMap(Stage):
    """A profile's hue/saturation map, over linear ProPhoto; see :func:`hue_saturation_map`.

    Args:
        table: (hues, saturations, values, 3); an ``nn.Parameter`` is learned. None: the camera's
            profile's, interpolated for the light of ``camera.neutral``; without one nothing
            happens.
        encoding: of the table's value axis; a profile's own goes with its table.
        clip: confine to [0, 1]; without it light above 1 is kept.

    Raises:
        ValueError: table of another shape, or no such encoding.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {"table": Range()}
    pointwise = True
    table: Tensor | None

    def __init__(
        self,
        table: Tensor | Sequence[Sequence[Sequence[Sequence[float]]]] | None = None,
        encoding: ValueEncoding = "linear",
        clip: bool = True,
    ) -> None:
        super().__init__()
        self.hold("table", table)
        if self.table is not None:
            _check_table(self.table)
        if encoding not in get_args(ValueEncoding):
            raise ValueError(f"encoding must be 'linear' or 'srgb', not {encoding!r}")
        self.encoding: ValueEncoding = encoding
        self.clip = clip

    def camera_table(self, camera: Camera) -> tuple[Tensor | None, str]:
        """The table for this camera and its light, and its encoding; None without one."""
        profile = camera.profile
        if profile is None or not profile.hue_sat_maps:
            return None, "linear"
        first, *others = profile.hue_sat_maps
        if not others:
            return first, profile.hue_sat_encoding
        return torch.lerp(others[0], first, first_weight(camera)), profile.hue_sat_encoding

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by=type(self).__name__)
        table, encoding = self.table, self.encoding
        if table is None:
            table, encoding = self.camera_table(frame.camera)  # type: ignore[assignment]
        if table is None:
            return frame
        return frame.replace(rgb=hue_saturation_map(rgb, table, encoding, self.clip))

    def bind(self, camera: Camera) -> HueSaturationMap:
        """A copy that holds the table for this camera and its light."""
        bound = copy.deepcopy(self)
        if bound.table is None:
            table, bound.encoding = self.camera_table(camera)  # type: ignore[assignment]
            bound.hold("table", [_IDENTITY] if table is None else table)
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        table = "camera" if self.table is None else "x".join(map(str, self.table.shape[:3]))
        return f"table={table}, encoding={self.encoding!r}, clip={self.clip}"


class LookTable(HueSaturationMap):
    """A profile's look table, applied after exposure; otherwise as :class:`HueSaturationMap`.

    Args:
        table, encoding, clip: as there; None: the profile's ProfileLookTable, for every light.
    """

    def camera_table(self, camera: Camera) -> tuple[Tensor | None, str]:
        """The look table, and its encoding; None without one."""
        profile = camera.profile
        return (None, "linear") if profile is None else (profile.look_table, profile.look_encoding)


def saturation(rgb: Tensor, amount: Tensor, weights: Tensor, clip: bool = True) -> Tensor:
    """Moves colors away from the gray of their luminance, or toward it.

        rgb' = Y + amount (rgb - Y)

    Args:
        rgb: (..., 3, H, W) linear.
        amount: (), 0: gray, 1: as it is.
        weights: (3,) of the channels in luminance, see
            :func:`isp_meta.stages.color_space.luminance`.
        clip: confine to [0, 1].

    Returns:
        (..., 3, H, W): where nothing was clipped, of the same luminance.

    Raises:
        ValueError: shapes do not fit.

    Source: Haeberli and Voorhies, "Image processing by linear interpolation and extrapolation",
    IRIS Universe 28, 1994.
    """
    identity = torch.eye(3, dtype=torch.float64, device=amount.device)
    strength = amount.double()
    matrix = strength * identity + (1 - strength) * weights.to(identity)
    return color_matrix(rgb, matrix, clip)


class Saturation(Stage):
    """Colorfulness of linear rgb; see :func:`saturation`.

    Args:
        amount: 0: gray, 1: as it is; an ``nn.Parameter`` is learned.
        space: what rgb is in, which says how its channels make luminance: a key of
            :data:`isp_meta.colorimetry.SPACES`.
        clip: confine to [0, 1].

    Raises:
        ValueError: amount out of range, or no such space.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"rgb"})
    ranges: ClassVar[Mapping[str, Range]] = {"amount": Range(0.0, 4.0)}
    pointwise = True
    amount: Tensor
    weights: Tensor

    def __init__(
        self, amount: Tensor | float = 1.0, space: str = "prophoto", clip: bool = True
    ) -> None:
        super().__init__()
        self.hold("amount", amount)
        if space not in SPACES or space == "xyz":
            raise ValueError(f"space must be an RGB space of {', '.join(SPACES)}, not {space!r}")
        self.space = space
        self.clip = clip
        self.register_buffer("weights", luminance(space), persistent=False)

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``rgb``."""
        rgb = frame.require("rgb", by="Saturation")
        return frame.replace(rgb=saturation(rgb, self.amount, self.weights, self.clip))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return f"amount={self.amount.item():g}, space={self.space!r}, clip={self.clip}"

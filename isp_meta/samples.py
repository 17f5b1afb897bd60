"""What is kept of one picture's raw: pixels with their values, and formulas for the rest.

Numbers are PyTorch's tensors. Checks ask of them only what NumPy's arrays know as well, of which
:func:`isp_meta.codec.decode_arrays` makes the same.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from .lazily import torch
from .printing import Brief

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Correction", "LocalRBFModel", "ParametricModel", "Samples"]


class Correction(Protocol):
    """What is stored of the error that is left; see :class:`isp_meta.codec.Enhancement`."""

    @property
    def share(self) -> float:
        """Of demosaicing in the colors that a corrected mosaic does not have, 0 to 1."""

    def apply(self, recovered: Tensor) -> Tensor:
        """(3, H, W) raw or (1, H, W) mosaic in [0, 1], corrected."""


@dataclass(frozen=True, eq=False, repr=False)
class Samples(Brief):
    """The raw pixels kept from one picture.

    Attributes:
        index: (N,) int64, flat row-major pixel index, strictly increasing, in [0, height * width).
        value: (N, 3) float32, linear raw-RGB at those pixels, in [0, 1].
        height, width: of the picture, pixels.
        cell: side of the cell that the sampler worked with, pixels, >= 1; 0 where it had none.
        model: how they are best interpolated, where capture tried; None: recovery finds out.
        control: the values are not what the sensor measured but what makes the result of the
            model best, so that they mean nothing without it.
        enhancement: of the result that the model, or recovery's search for one, makes of them.
        demosaic: method by which the raw that they are of was made of a mosaic; "" where there was
            none, or nobody knows.

    Raises:
        ValueError: shapes that do not fit, an index out of range or out of order, control values
            without their model.
    """

    index: Tensor
    value: Tensor
    height: int
    width: int
    cell: int = 0
    model: LocalRBFModel | None = None
    control: bool = False
    enhancement: Correction | None = None
    demosaic: str = ""

    def __post_init__(self) -> None:
        if _kind(self.index) != "int64" or self.index.ndim != 1:
            raise ValueError("index must be (N,) int64")
        if self.value.shape != (len(self.index), 3):
            raise ValueError(
                f"value must be ({len(self.index)}, 3) beside {len(self.index)} indices, "
                f"not {tuple(self.value.shape)}"
            )
        if self.height < 1 or self.width < 1 or self.cell < 0:
            raise ValueError("height and width must be >= 1, cell >= 0")
        if self.control and self.model is None:
            raise ValueError("control values need the model that they are for")
        if len(self.index):
            if int(self.index[0]) < 0 or int(self.index[-1]) >= self.height * self.width:
                raise ValueError(f"index leaves the {self.width}x{self.height} picture")
            if not bool((self.index[1:] > self.index[:-1]).all()):
                raise ValueError("index must be strictly increasing")

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def at(cls, index: Tensor, raw: Tensor, cell: int = 0) -> Samples:
        """Takes the pixels of a picture at given places.

        Args:
            index: (N,) int64, any order, repeats and -1 (no sample) allowed.
            raw: (3, H, W) linear raw-RGB.
            cell: side of the sampler's cell, pixels.
        """
        _, height, width = raw.shape
        index = torch.unique(index[index >= 0])
        return cls(index, raw.reshape(3, -1)[:, index].T.contiguous(), height, width, cell)

    def to(self, device: str | torch.device) -> Samples:
        """The same with ``index`` and ``value`` on a device."""
        there = self.index.to(device), self.value.to(device)
        return dataclasses.replace(self, index=there[0], value=there[1])

    def mask(self) -> Tensor:
        """(1, H, W) float32: 1 where a pixel was kept (Eq. 4's m)."""
        mask = torch.zeros(self.height * self.width, device=self.index.device)
        mask[self.index] = 1.0
        return mask.view(1, self.height, self.width)


@dataclass(frozen=True, eq=False, repr=False)
class ParametricModel(Brief):
    """The way from one picture's sRGB back to its raw, as a formula: no pixel is kept.

        raw = (matrix · f⁻¹(srgb) + Σₖ weightsₖ max(0, 1 - |srgb - pointsₖ| / radius)²) / gains

    Attributes:
        gains: (3,) of white balance (T_w), 1/8192 to 8192.
        matrix: (3, 3) display-linear color to white-balanced raw (T_s⁻¹), within ±8192.
        curves: (3, 256) inverse tone curve f⁻¹ of each channel at evenly spaced sRGB values from 0
            to 1, straight in between, never falling, within ±8192.
        points: (N, 3) sRGB of the control points of the gamut mapping h⁻¹, in [0, 1], N <= 5000.
            It acts behind the matrix: for a linear one that is only another scale of weights.
        weights: (N, 3) of those points, within ±8192.
        radius: sRGB difference over which a point's influence falls to 0, 1/8192 to 8192.

    All tensors are float32; see :func:`isp_meta.baselines.fit_parametric`.

    Raises:
        ValueError: shapes or dtypes that do not fit, a value out of range or not finite.
    """

    gains: Tensor
    matrix: Tensor
    curves: Tensor
    points: Tensor
    weights: Tensor
    radius: float

    KNOTS: ClassVar[int] = 256
    COLOR_STEPS: ClassVar[int] = 65535
    MOST_POINTS: ClassVar[int] = 5000
    # Within it no sum in the formula can leave float32.
    LARGEST: ClassVar[float] = 8192.0

    def __post_init__(self) -> None:
        count, most = len(self.points), self.LARGEST
        if count > self.MOST_POINTS:
            raise ValueError(f"{count} control points are too many, {self.MOST_POINTS} is the most")
        for name, shape, low, high in (
            ("gains", (3,), 1 / most, most),
            ("matrix", (3, 3), -most, most),
            ("curves", (3, self.KNOTS), -most, most),
            ("points", (count, 3), 0.0, 1.0),
            ("weights", (count, 3), -most, most),
        ):
            value: Tensor = getattr(self, name)
            if value.shape != shape or _kind(value) != "float32":
                raise ValueError(f"{name} must be {shape} float32, not {tuple(value.shape)}")
            if not bool(((value >= low) & (value <= high)).all()):
                raise ValueError(f"{name} must be finite and within {low:g} to {high:g}")
        if not 1 / most <= self.radius <= most:
            raise ValueError(f"radius must be {1 / most:g} to {most:g}, not {self.radius}")
        if not bool((self.curves[:, 1:] >= self.curves[:, :-1]).all()):
            raise ValueError("curves must never fall")

    def rounded(self) -> ParametricModel:
        """As metadata keep it: points in steps of 1/65535, weights binary16, radius binary32."""
        points = _in_steps(self.points, self.COLOR_STEPS)
        radius = float(torch.tensor(self.radius, dtype=torch.float32))
        return dataclasses.replace(
            self, points=points, weights=self.weights.half().float(), radius=radius
        )


@dataclass(frozen=True, eq=False, repr=False)
class LocalRBFModel(Brief):
    """How local radial-basis systems rebuild one picture, as capture found it by trying.

        raw + floor = (cubic(srgb) + floor) exp(smooth(srgb) + weights · features + systems)

    Attributes:
        kernel: ``exponential`` exp(-r) or ``rational`` 1 / (1 + r²).
        position_scale: pixels that count as distance 1, 1/8192 to 8192.
        color_scale: sRGB difference that counts as distance 1, 1/8192 to 8192.
        ridge: variance of the noise in units of the kernel's, 1/8192 to 8192.
        neighbors: samples in a block's system, 1 to 96.
        cubic: (3, 20) coefficients, within ±8192.
        centers: (M, 3) sRGB in [0, 1] at which the smooth function is known, M <= 255.
        gains: (M, 3) what it is there, within ±8.
        weights: (3, F) of the features, within ±8192: of what is clipped and of local contrast,
            F = 33, or of none, F = 0; with a network of its features too, F > 33.
        network: name of the shipped network whose features are weighed, or "".

    All tensors are float32.

    Raises:
        ValueError: shapes or dtypes that do not fit, a value out of range or not finite.
    """

    kernel: str
    position_scale: float
    color_scale: float
    ridge: float
    neighbors: int
    cubic: Tensor
    centers: Tensor
    gains: Tensor
    weights: Tensor
    network: str = ""

    KERNELS: ClassVar[tuple[str, ...]] = ("exponential", "rational")
    FEATURES: ClassVar[tuple[int, ...]] = (0, 33)
    COLOR_STEPS: ClassVar[int] = 255
    GAIN_STEPS: ClassVar[int] = 4096
    MOST_CENTERS: ClassVar[int] = 255
    LARGEST: ClassVar[float] = 8192.0
    LARGEST_GAIN: ClassVar[float] = 8.0

    def __post_init__(self) -> None:
        count, most = len(self.centers), self.LARGEST
        if self.kernel not in self.KERNELS:
            raise ValueError(f"kernel must be exponential or rational, not {self.kernel!r}")
        if not 1 <= self.neighbors <= 96:
            raise ValueError(f"neighbors must be 1 to 96, not {self.neighbors}")
        features = self.weights.shape[-1]
        allowed = range(34, 256) if self.network else self.FEATURES
        if count > self.MOST_CENTERS or features not in allowed:
            raise ValueError("at most 255 centers, and 0 or 33 features, with a network to 255")
        for name in ("position_scale", "color_scale", "ridge"):
            if not 1 / most <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be {1 / most:g} to {most:g}")
        for name, shape, low, high in (
            ("cubic", (3, 20), -most, most),
            ("centers", (count, 3), 0.0, 1.0),
            ("gains", (count, 3), -self.LARGEST_GAIN, self.LARGEST_GAIN),
            ("weights", (3, features), -most, most),
        ):
            value: Tensor = getattr(self, name)
            if value.shape != shape or _kind(value) != "float32":
                raise ValueError(f"{name} must be {shape} float32, not {tuple(value.shape)}")
            if not bool(((value >= low) & (value <= high)).all()):
                raise ValueError(f"{name} must be finite and within {low:g} to {high:g}")

    def rounded(self) -> LocalRBFModel:
        """As metadata keep it: centers in steps of 1/255, gains of 1/4096, weights binary16."""
        scalars = torch.tensor([self.position_scale, self.color_scale, self.ridge])
        position_scale, color_scale, ridge = scalars.tolist()
        return dataclasses.replace(
            self,
            position_scale=position_scale,
            color_scale=color_scale,
            ridge=ridge,
            centers=_in_steps(self.centers, self.COLOR_STEPS),
            gains=_in_steps(self.gains, self.GAIN_STEPS).clamp(max=32767 / self.GAIN_STEPS),
            weights=self.weights.half().float(),
        )


def _kind(value: Tensor) -> str:
    """What a tensor's numbers are, or an array's: "float32"."""
    return str(value.dtype).removeprefix("torch.")


def _in_steps(value: Tensor, steps: int) -> Tensor:
    """Multiples of 1 / steps, as a whole number of them is stored: zero has no sign."""
    return (value * steps).round().int().float() / steps

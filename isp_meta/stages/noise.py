"""Shot and read noise of a sensor: a stage that adds it, codes that hold it, what stages know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..camera import Camera, EditorTag, EditorTags
from ..frame import Frame
from ..stage import Range, Stage
from .black_level import BlackLevel

__all__ = ["NoiseAware", "SensorNoise", "add_noise", "noisy_codes"]

# A variance of nothing: the square root's gradient is infinite at 0.
_LEAST_VARIANCE = 1e-30
# DNG's tag of the noise, and TIFF's type of its numbers.
_NOISE_PROFILE, _DOUBLE = 51041, 12


def add_noise(
    linear: Tensor,
    shot: Tensor | float,
    read: Tensor | float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Heteroscedastic Gaussian noise.

        noisy = linear + sqrt(shot * linear + read) * n,  n ~ N(0, 1)

    Args:
        linear: (..., H, W) mosaic or raw in [0, 1], float32 or float64.
        shot: variance for each unit of signal, >= 0: the reciprocal of the full well in electrons.
        read: variance in the dark, >= 0.
        generator: source of n, on the device of ``linear``; None: PyTorch's own.

    Returns:
        Same shape, not confined to [0, 1]: a sensor's black level keeps what lies below zero light.
        Traces under torch.export, but not into ONNX, which has no such generator.

    Source: Foi, Trimeche, Katkovnik, Egiazarian, "Practical Poissonian-Gaussian noise modeling and
    fitting for single-image raw-data", IEEE TIP 2008, Eqs. 1 to 3.
    """
    if generator is None:
        normal = torch.randn_like(linear)
    else:
        normal = torch.randn(
            linear.shape, generator=generator, dtype=linear.dtype, device=linear.device
        )
    variance = linear.clamp(min=0) * shot + read
    return linear + normal * variance.clamp(min=_LEAST_VARIANCE).sqrt()


class NoiseAware(Stage):
    """A stage that knows the sensor's noise.

    Args:
        shot, read: see :func:`add_noise`; None: what the frame's camera states. Either may be an
            ``nn.Parameter``.

    Raises:
        ValueError: out of range.
    """

    ranges: ClassVar[Mapping[str, Range]] = {"shot": Range(0, 1), "read": Range(0, 1)}
    shot: Tensor | None
    read: Tensor | None

    def __init__(
        self, shot: float | nn.Parameter | None = None, read: float | nn.Parameter | None = None
    ) -> None:
        super().__init__()
        self.hold("shot", shot)
        self.hold("read", read)

    def noise(self, camera: Camera) -> tuple[Tensor | float, Tensor | float]:
        """Shot and read noise: those given, or else the camera's.

        Raises:
            ValueError: neither is known.
        """
        if camera.noise is None and (self.shot is None or self.read is None):
            raise ValueError(
                f"{type(self).__name__}: the camera states no noise; give shot and read"
            )
        shot, read = camera.noise or (0.0, 0.0)
        return (
            shot if self.shot is None else self.shot,
            read if self.read is None else self.read,
        )

    def bind(self, camera: Camera) -> Stage:
        """A copy that holds the camera's noise, where none was given."""
        bound = super().bind(camera)
        for name, value in zip(("shot", "read"), self.noise(camera), strict=True):
            if getattr(self, name) is None:
                bound.hold(name, value)
        return bound

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        given = {name: value for name, value in self.arguments().items() if value is not None}
        return ", ".join(f"{name}={value}" for name, value in given.items())


class SensorNoise(NoiseAware):
    """Adds noise to the mosaic, as a simulated sensor does; see :func:`add_noise`.

    Args:
        shot, read: see :class:`NoiseAware`.
        seed: the same noise at every call; None: new noise, from PyTorch's own generator.

    Raises:
        ValueError: out of range; when called, neither argument nor camera states the noise, or a
            graph is traced and there is a seed.
    """

    needs = frozenset({"mosaic"})
    gives = frozenset({"mosaic"})

    def __init__(
        self,
        shot: float | nn.Parameter | None = None,
        read: float | nn.Parameter | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(shot, read)
        self.seed = seed

    @property
    def tensors_alone(self) -> bool:
        """Whether there is no seed."""
        return self.seed is None

    def forward(self, frame: Frame) -> Frame:
        """Replaces ``mosaic``."""
        mosaic = frame.require("mosaic", by="SensorNoise")
        generator = None
        if self.seed is not None:
            if torch.compiler.is_compiling():
                raise ValueError(
                    "SensorNoise: a seed needs a generator of its own, which no graph can hold; "
                    "leave it out"
                )
            generator = torch.Generator(mosaic.device).manual_seed(self.seed)
        return frame.replace(mosaic=add_noise(mosaic, *self.noise(frame.camera), generator))


def noisy_codes(frame: Frame, electrons: float, read: float = 3.0, seed: int = 0) -> Frame:
    """A raw file's codes as a sensor with more noise would have given them.

        code = round(black + (white - black) · noisy),  kept within 0 and white

    ``noisy`` is :func:`add_noise`'s, with a variance of signal / electrons + (read / electrons)².
    Saturated codes stay saturated: the light beyond white is unknown.

    Args:
        frame: its ``codes`` and ``camera``.
        electrons: of a saturated pixel, >= 1: about 6,000 of a phone at its base ISO, 800 at three
            stops more. Noise that the codes hold already stays in them.
        read: standard deviation in the dark, electrons, 0 to ``electrons``.
        seed: the same noise at every call.

    Returns:
        A Frame with whole ``codes`` alone. Its camera's ``noise``, and NoiseProfile among the tags
        for editors, say what was added.

    Raises:
        PipelineOrderError: ``frame.codes`` is empty. ValueError: out of range.
    """
    if not (1 <= electrons < math.inf and 0 <= read <= electrons):
        raise ValueError(
            f"electrons must be at least 1, and read noise 0 to that many, not {electrons}, {read}"
        )
    codes: Tensor = frame.require("codes", by="noisy_codes")
    noise = (1 / electrons, (read / electrons) ** 2)
    white = frame.camera.white_level
    levels = BlackLevel(clip=False)
    noisy: Tensor = levels.invert(SensorNoise(*noise, seed)(levels(frame))).require("codes", "it")
    kept = torch.where(codes >= white, codes, noisy.round().clamp(0, white))
    return Frame(_with_noise(frame.camera, noise, (codes.shape[1], codes.shape[2])), codes=kept)


def _with_noise(camera: Camera, noise: tuple[float, float], size: tuple[int, int]) -> Camera:
    told = camera.editing or EditorTags(size, {})
    tags = {**told.tags, _NOISE_PROFILE: EditorTag.of(_DOUBLE, noise)}
    return camera.replace(noise=noise, editing=EditorTags(told.size, tags))

"""What is compared: a way to choose pixels with a way to rebuild raw from them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..baselines import ParametricReconstructor, RBFReconstructor, fit_parametric
from ..camera import Camera
from ..capture.loop import ClosedLoopSampler
from ..capture.residual import DEFAULT_STEP
from ..frame import Frame, Reconstructor, Sampler
from ..networks.tiles import run_tiled
from ..reconstruct import LocalRBFReconstructor, TrainableReconstructor
from ..samplers import RandomSampler, SuperpixelSampler, UniformSampler
from ..samples import ParametricModel, Samples
from .storage import Stored, store
from .trained import Weights

__all__ = ["Captured", "Chosen", "Method", "Rebuilt", "sam", "shipped", "training_free"]


def sam() -> RBFReconstructor:
    """SAM's reconstruction with the kernel and scales that did well on training pictures.

    Punnappurath and Brown (WACV 2021) leave them open; docs/evaluation.md says what was tried.
    """
    return RBFReconstructor(32, "cubic", position_scale=1024.0, ridge=1e-4)


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a method found at a picture, before it is stored.

    Attributes:
        samples: perhaps none. model: of a method that fits one. seconds: that it took.
    """

    samples: Samples
    model: ParametricModel | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Captured:
    """What a method keeps of a picture, as recovery will read it.

    Attributes:
        frame: ``srgb``, ``camera`` and ``samples`` as decoded; no ``raw``.
        model: as decoded, of a method that fits one.
        stored: what that takes.
        seconds: of choosing the samples, or of fitting the model; of coding an enhancement, too.
    """

    frame: Frame
    model: ParametricModel | None
    stored: Stored
    seconds: float


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """What a method made of what it kept.

    Attributes:
        raw: (3, H, W) in [0, 1].
        seconds: of reconstruction. fine_tuning: seconds of fine-tuning before it.
    """

    raw: Tensor
    seconds: float
    fine_tuning: float = 0.0


@dataclass(frozen=True, eq=False)
class Method:
    """A sampler with a reconstructor, or a model that is fitted to each picture.

    Attributes:
        sampling, reconstruction: their names, for tables.
        sampler: None: no pixel is kept. Methods that share one share its samples and seconds.
        reconstructor: a :class:`TrainableReconstructor` can be fine-tuned. None: it is made of what
            ``fit`` finds.
        weights: that the networks come from, if any.
        fit: (raw, srgb, camera) to the model that is stored, such as
            :func:`isp_meta.baselines.fit_parametric`.
        enhancement: step of the coefficients that correct what :class:`LocalRBFReconstructor`
            makes, as of :func:`isp_meta.embed`; None: nothing is stored for that.

    Raises:
        ValueError: neither a reconstructor nor a fit, or both; an enhancement of others' results.
    """

    sampling: str
    reconstruction: str
    sampler: Sampler | None
    reconstructor: Reconstructor | None
    weights: Weights | None = None
    fit: Callable[[Tensor, Tensor, Camera], ParametricModel] | None = None
    enhancement: float | None = None

    def __post_init__(self) -> None:
        if (self.reconstructor is None) == (self.fit is None):
            raise ValueError(f"{self.name}: takes a reconstructor or a fit, and not both")
        if self.enhancement is not None and type(self.reconstructor) is not LocalRBFReconstructor:
            raise ValueError(f"{self.name}: only LocalRBFReconstructor's results are enhanced")

    @property
    def name(self) -> str:
        """``WEIGHTS:SAMPLING+RECONSTRUCTION``, without weights ``SAMPLING+RECONSTRUCTION``."""
        prefix = f"{self.weights.name}:" if self.weights else ""
        return f"{prefix}{self.sampling}+{self.reconstruction}"

    @property
    def keeper(self) -> object:
        """What decides on samples and model: methods with the same one choose the same."""
        return self.sampler or self.fit or self.reconstructor

    def with_enhancement(self, step: float = DEFAULT_STEP) -> Method:
        """The same, with what recovery misses stored in coefficients of this step."""
        reconstruction = f"{self.reconstruction}-enhanced"
        return replace(self, reconstruction=reconstruction, enhancement=step)

    @property
    def tunable(self) -> bool:
        """Whether it can be fine-tuned: a network, and measured samples to tune it by."""
        trainable = isinstance(self.reconstructor, TrainableReconstructor)
        control = isinstance(self.sampler, ClosedLoopSampler) and self.sampler.control
        return trainable and self.sampler is not None and not control

    def describe(self) -> dict[str, Any]:
        """For the results' settings."""
        return {
            "sampling": self.sampling,
            "reconstruction": self.reconstruction,
            "weights": self.weights.name if self.weights else None,
            "network": isinstance(self.reconstructor, TrainableReconstructor),
            "sampler_inputs": getattr(self.sampler, "inputs", None),
            "sampler": _shown(self.sampler),
            "reconstructor": _shown(self.reconstructor),
            "enhancement": self.enhancement,
        }

    @torch.no_grad()
    def choose(self, frame: Frame) -> Chosen:
        """Chooses the pixels, or fits the model.

        Args:
            frame: with ``raw``, ``srgb`` and ``camera``.
        """
        raw: Tensor = frame.require("raw", self.name)
        start = time.perf_counter()
        model = self.fit(raw, frame.require("srgb", self.name), frame.camera) if self.fit else None
        if self.sampler is not None:
            samples = self.sampler(frame)
        else:
            samples = Samples.at(torch.empty(0, dtype=torch.int64, device=raw.device), raw)
        return Chosen(samples, model, time.perf_counter() - start)

    @torch.no_grad()
    def capture(self, frame: Frame, bits: int = 14, chosen: Chosen | None = None) -> Captured:
        """Stores what was chosen as a JPEG would, and reads it again.

        Args:
            frame: with ``raw``, ``srgb`` and ``camera``.
            bits: depth of a stored value, 8 to 16.
            chosen: of this frame, by a method with the same keeper; None: chooses now.
        """
        chosen = chosen or self.choose(frame)
        frame = frame.replace(samples=chosen.samples)
        if chosen.model is None and self.sampler is None:
            return Captured(frame.replace(raw=None), None, Stored(), 0.0)
        start = time.perf_counter()
        kept, payload, stored = store(frame, bits, chosen.model, self.enhancement)
        seconds = chosen.seconds
        if self.enhancement is not None:
            seconds += time.perf_counter() - start
        return Captured(kept, payload.parametric, stored, seconds)

    def rebuild(self, captured: Captured, steps: int = 0) -> Rebuilt:
        """Rebuilds raw of what was kept.

        Args:
            steps: of fine-tuning before, at the rate that the reconstructor holds; 0: none.

        Raises:
            ValueError: steps of a method that cannot be fine-tuned.
        """
        reconstructor, tuning = self.reconstructor, 0.0
        if isinstance(reconstructor, TrainableReconstructor):
            start = time.perf_counter()
            reconstructor = _tuned(reconstructor, captured.frame, steps)
            tuning = time.perf_counter() - start if steps else 0.0
        elif steps:
            raise ValueError(f"{self.name} cannot be fine-tuned")
        start = time.perf_counter()
        if captured.model is not None:
            raw = ParametricReconstructor(captured.model)(captured.frame)
        elif self.sampler is None and isinstance(reconstructor, TrainableReconstructor):
            raw = _from_srgb_alone(reconstructor, captured.frame)
        else:
            assert reconstructor is not None
            raw = reconstructor(captured.frame)
        return Rebuilt(raw, time.perf_counter() - start, tuning)


def training_free(cell: int = 8, seed: int = 0) -> list[Method]:
    """The methods that need no trained network: three samplings by two interpolations, and RIR.

    Args:
        cell: one pixel in cell² is kept. seed: of the random sampler.
    """
    samplers: dict[str, Sampler] = {
        "uniform": UniformSampler(cell),
        "random": RandomSampler(seed, 1 / cell**2),
        "superpixel": SuperpixelSampler(cell),
    }
    reconstructors = {"sam": sam(), "local-rbf": LocalRBFReconstructor()}
    return [
        *(
            Method(sampling, reconstruction, sampler, reconstructor)
            for sampling, sampler in samplers.items()
            for reconstruction, reconstructor in reconstructors.items()
        ),
        Method("none", "rir", None, None, fit=fit_parametric),
    ]


def shipped(cell: int = 8) -> list[Method]:
    """What `isp-meta embed` and `recover` do, by how much effort goes into it at capture.

    Args:
        cell: one pixel in cell² is kept.
    """
    reconstructor = LocalRBFReconstructor.shipped()
    plain: dict[str, Sampler] = {
        "uniform": UniformSampler(cell),
        "superpixel": SuperpixelSampler(cell),
    }
    found = [
        Method(name if not effort else f"{name}-effort-{effort}", "features", tried, reconstructor)
        for name, sampler in plain.items()
        for effort in (0, 1)
        for tried in [ClosedLoopSampler(sampler, effort) if effort else sampler]
    ]
    # Where an enhancement follows, moves are what the second effort is for.
    enhanced = [
        Method(f"uniform-effort-{effort}", "features", tried, reconstructor).with_enhancement()
        for effort in (1, 2)
        for tried in [ClosedLoopSampler(plain["uniform"], effort, enhanced=True)]
    ]
    return [*found, *enhanced]


def _tuned(
    reconstructor: TrainableReconstructor, frame: Frame, steps: int
) -> TrainableReconstructor:
    """What tunes itself no more: as it is, or tuned by so many steps."""
    if steps:
        rate, held_out, seed = (
            reconstructor.fine_tune_lr,
            reconstructor.held_out,
            reconstructor.seed,
        )
        return reconstructor.fine_tune(frame, steps, rate, held_out=held_out, seed=seed)
    plain = copy.copy(reconstructor)
    plain.fine_tune_steps = 0
    return plain


@torch.no_grad()
def _from_srgb_alone(reconstructor: TrainableReconstructor, frame: Frame) -> Tensor:
    """What a network makes of a picture without samples, which recovery would refuse."""
    srgb: Tensor = frame.require("srgb", "the network")
    samples: Samples = frame.require("samples", "the network")
    reader = reconstructor.window_reader(srgb, samples)
    raw = run_tiled(reconstructor.network, reader, (samples.height, samples.width))
    return raw.to(srgb).clamp_(0, 1)


def _shown(module: torch.nn.Module | None) -> str | None:
    """Class and arguments, without the layers of a network."""
    return None if module is None else f"{type(module).__name__}({module.extra_repr()})"

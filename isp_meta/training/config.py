"""What a training does, as a TOML file and as frozen values: the defaults are the paper's.

prepare ─▶ data ─▶ sampler, reconstructor, samples ─▶ loss, meta ─▶ optimizer, schedule ─▶ run
                                      validation ◀──────────────────────────┘

Each word is a table of the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from ..errors import TrainingError
from ..io.toml_file import parse_toml, read_text
from .prepare import PrepareConfig
from .sections import Section, number, read_table

__all__ = [
    "DataConfig",
    "LossConfig",
    "MetaConfig",
    "OptimizerConfig",
    "PrepareConfig",
    "RunConfig",
    "SamplesConfig",
    "ScheduleConfig",
    "TrainingConfig",
    "ValidationConfig",
]

_EPOCHS = 120

Kind = Literal[
    "learned", "free_form", "uniform", "random", "mixed", "none", "largest_error", "varied"
]


@dataclass(frozen=True)
class DataConfig(Section):
    """Where the crops come from.

    Attributes:
        folder: made by ``isp-meta prepare``, or by the training itself as ``[prepare]`` says; a
            relative one counts from the current folder.
        crop: side of a crop, pixels, at most that of the stored ones.
        bits: that pictures are brought down to, to be led back from, with spaces between; one that
            stands twice is drawn twice as often. ``folder`` then holds just pictures, and ``val``
            says which of them to validate on: patterns of their names with spaces between. Empty:
            crops of sRGB and raw.
    """

    SECTION: ClassVar[str] = "data"

    folder: str = ""
    crop: int = number(128, 8)
    bits: str = ""
    val: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits:
            _ = self.depths

    @property
    def depths(self) -> tuple[int, ...]:
        """The numbers in ``bits``.

        Raises:
            TrainingError: what the file says are no such numbers.
        """
        words = self.bits.split()
        if all(word.isdecimal() and 1 <= int(word) <= 15 for word in words):
            return tuple(map(int, words))
        raise TrainingError(f"[data] bits: must be numbers of 1 to 15, as 3 4 5, not {self.bits!r}")


@dataclass(frozen=True)
class SamplerConfig(Section):
    """The sampler's network, a U-Net.

    Attributes:
        width: channels at full resolution.
        inputs: what it sees (Table 3 of the paper).
        clip: limit of the gradient that goes straight through; 0: none, 1: the published code's.
    """

    SECTION: ClassVar[str] = "sampler"

    width: int = number(32, 1)
    inputs: Literal["srgb", "raw", "both"] = "both"
    clip: float = number(0.0, 0)


@dataclass(frozen=True)
class ReconstructorConfig(Section):
    """The reconstructor's network.

    Attributes:
        kind: a name of :mod:`isp_meta.training.systems`.
        width: channels at full resolution.
    """

    SECTION: ClassVar[str] = "reconstructor"

    kind: str = "unet"
    width: int = number(32, 1)


@dataclass(frozen=True)
class SamplesConfig(Section):
    """Which pixels the reconstructor gets during training.

    Attributes:
        kind: "learned": one pixel a superpixel (Eq. 4). "free_form": the most wanted pixels of the
            picture (Table 3). "uniform", "random": without a network. "mixed": each batch uniform,
            random or learned, for a reconstructor that takes any sampler. "none": no pixel.
            "largest_error": of each cell the pixel that the reconstructor meets worst without any.
            "varied": each batch none, uniform or, half of the time, those of the largest error.
        cell: side of a cell, pixels; one pixel in cell² is kept. 8 is the paper's 1.5 %.
    """

    SECTION: ClassVar[str] = "samples"

    kind: Kind = "learned"
    cell: int = number(8, 2)

    @property
    def share(self) -> float:
        """Of the pixels that are kept."""
        return 1 / self.cell**2

    @property
    def trains_sampler(self) -> bool:
        """Whether a network chooses."""
        return self.kind in ("learned", "free_form", "mixed")


@dataclass(frozen=True)
class LossConfig(Section):
    """L = L_R + λ_S L_S + λ_M L_M.

    Attributes:
        distance: between the reconstruction and the truth; the paper's is "l1";
            "decibels" is what PSNR measures, each picture as much as another.
        superpixel: λ_S.
        meta: λ_M; 0 leaves the meta loss out. The paper's is 1e-2, and 1e-3 for its Sony camera.
    """

    SECTION: ClassVar[str] = "loss"

    distance: Literal["l1", "charbonnier", "l2", "decibels"] = "l1"
    superpixel: float = number(1e-4, 0)
    meta: float = number(1e-2, 0)


@dataclass(frozen=True)
class MetaConfig(Section):
    """The inner loop of the meta loss.

    Attributes:
        steps: of gradient descent from θ to θ′.
        rate: β.
        task: what one θ′ is for: the whole "batch", as published, or each "picture", which is what
            fine-tuning does at recovery; it takes as long.
        pictures: of a batch that the meta loss sees; 0: all. Six passes each, so this is its cost.
        batch_norm: "running": the running statistics, left as they are, which is what fine-tuning
            does. "published": those of the batch, which also enter the running ones.
    """

    SECTION: ClassVar[str] = "meta"

    steps: int = number(5, 1)
    rate: float = number(1e-3, 0, above=True)
    task: Literal["batch", "picture"] = "batch"
    pictures: int = number(0, 0)
    batch_norm: Literal["running", "published"] = "running"


@dataclass(frozen=True)
class OptimizerConfig(Section):
    """Adam, and what is made of its weights.

    Attributes:
        rate: of learning, at its highest.
        clip: largest norm of the gradient of all parameters; 0: any.
        ema: decay of the moving average of weights that is validated and exported, 0: none.
    """

    SECTION: ClassVar[str] = "optimizer"

    rate: float = number(1e-3, 0, above=True)
    clip: float = number(0.0, 0)
    ema: float = number(0.0, 0, 0.999999)


@dataclass(frozen=True)
class ScheduleConfig(Section):
    """The learning rate over time.

    Attributes:
        kind: "constant", as the paper's; "cosine" falls to a hundredth; "trapezoid" is constant and
            falls to a hundredth at its end, so that a longer training can go on from a checkpoint.
        warmup: steps in which the rate rises from near 0.
        decay: steps in which a trapezoid falls.
    """

    SECTION: ClassVar[str] = "schedule"

    kind: Literal["constant", "cosine", "trapezoid"] = "constant"
    warmup: int = number(0, 0)
    decay: int = number(0, 0)


@dataclass(frozen=True)
class ValidationConfig(Section):
    """When and on what the networks are measured.

    Attributes:
        every: steps between; 0: once, at the end.
        pictures: crops at most, spread over the validation set.
        fine_tune: steps of fine-tuning a crop; 0: none, and the best is that without.
    """

    SECTION: ClassVar[str] = "validation"

    every: int = number(1000, 0)
    pictures: int = number(32, 1)
    fine_tune: int = number(10, 0)


@dataclass(frozen=True)
class RunConfig(Section):
    """How long, how, and where.

    Attributes:
        output: folder of checkpoints and logs; a relative one counts from the current folder.
        seed: of weights, order of crops, random samples.
        batch: crops a step, over all processes.
        micro_batch: crops of a process that are in memory at once; 0: all of its share. The losses
            are those of the whole batch; batch norm normalizes by what is in memory.
        threads: of PyTorch on the processor; 0: as many as it takes by itself.
        steps, epochs: how long; one of the two. The paper's: 120 epochs.
        precision: "bfloat16" computes networks in it, and keeps weights and losses in float32;
            "auto" does where the device has instructions for it.
        log_every, save_every: steps between lines of the log and between checkpoints.
        tensorboard: writes its event files too, where it is installed.
    """

    SECTION: ClassVar[str] = "run"

    output: str = "run"
    seed: int = number(0, 0, 2**31)
    batch: int = number(128, 1)
    micro_batch: int = number(0, 0)
    threads: int = number(0, 0)
    steps: int | None = number(None, 1)
    epochs: int | None = number(None, 1)
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    log_every: int = number(50, 1)
    save_every: int = number(1000, 1)
    tensorboard: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None and self.epochs is not None:
            raise TrainingError("[run] epochs: steps is given too; leave one out")

    def total_steps(self, crops: int) -> int:
        """Steps in all; 120 epochs where the file says neither.

        Args:
            crops: in an epoch.
        """
        if self.steps is not None:
            return self.steps
        return max(1, (self.epochs or _EPOCHS) * crops // self.batch)


@dataclass(frozen=True)
class TrainingConfig(Section):
    """All of it: one attribute a section of the file; what is left out has its default."""

    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    data: DataConfig = field(default_factory=DataConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    reconstructor: ReconstructorConfig = field(default_factory=ReconstructorConfig)
    samples: SamplesConfig = field(default_factory=SamplesConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    meta: MetaConfig = field(default_factory=MetaConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.meta.pictures > self.run.batch:
            raise TrainingError(
                f"[meta] pictures: a batch has {self.run.batch}, not {self.meta.pictures}"
            )

    @property
    def meta_pictures(self) -> int:
        """Pictures of a batch that the meta loss sees."""
        return self.meta.pictures or self.run.batch

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> TrainingConfig:
        """Reads a file.

        Raises:
            TrainingError: it cannot be read, or holds an unknown key, a value of another type or
                out of range; the text names file, section and key.
        """
        table = parse_toml(read_text(path, TrainingError), os.fspath(path), TrainingError)
        try:
            return cls.from_dict(table)
        except TrainingError as error:
            raise TrainingError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> TrainingConfig:
        """The inverse of :meth:`to_dict`.

        Raises:
            TrainingError: an unknown key, a value of another type or out of range.
        """
        config: TrainingConfig = read_table(cls, table)
        return config

    def to_dict(self, *, paths: bool = True) -> dict[str, dict[str, Any]]:
        """Sections as plain tables, without what is None.

        Args:
            paths: with the folders, which say something of the machine.
        """
        left_out = set() if paths else {"pictures", "camera", "folder", "output"}
        return {
            section: {
                key: value
                for key, value in values.items()
                if value is not None and key not in left_out
            }
            for section, values in asdict(self).items()
        }

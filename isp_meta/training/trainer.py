"""The training loop: steps, validation, checkpoints, and a way back into each of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import TrainingError
from . import checkpoint
from .average import MovingAverage
from .batches import Batches, Crops, validation_pictures
from .config import TrainingConfig
from .device import computes_in_half, threads
from .distributed import barrier, rank, sum_over_processes, world_size
from .interrupt import Interruption
from .log import JsonLog, Observer, TensorBoardLog
from .losses import Objective, seed_of
from .memory import check_memory
from .schedule import share_of_rate
from .validation import validate

if TYPE_CHECKING:
    from ..reconstruct.trainable import TrainableReconstructor
    from .systems import TrainableSampler

__all__ = ["Interrupted", "Trainer"]

_DROPOUT = 4  # what a random number is for; losses.py has the others


class Interrupted(Exception):
    """A signal asked for an end; the checkpoint is written.

    Attributes:
        signal: its number.
        path: of the checkpoint.
        step: that it is of.
    """

    def __init__(self, signal: int, path: Path, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.signal, self.path, self.step = signal, path, step


class Trainer:
    """Trains a sampler and a reconstructor together, or the reconstructor alone.

    batch ─▶ micro-batches ─▶ Objective ─▶ gradients ─▶ Adam ─▶ moving average   every step
    validate ─▶ best.pt, *.safetensors; last.pt; log.jsonl                     now and then

    Everything random is a function of the seed and the step, so that a training that goes on from
    a checkpoint ends in the same bits, on the CPU, as one that was never cut off.

    Args:
        sampler: trained along; None where the config's samples need no network.
        reconstructor: trained.
        config: of the training.
        device: to train on; both are moved there.

    Source: Nam et al., CVPR 2022, section 3 and 4; the constants are the config's.
    """

    def __init__(
        self,
        sampler: TrainableSampler | None,
        reconstructor: TrainableReconstructor,
        config: TrainingConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        _check_shares(config)
        self.config = config
        self.device = torch.device(device)
        self.half = computes_in_half(config.run.precision, self.device)
        self.folder = Path(config.run.output)
        self.objective = Objective(sampler, reconstructor, config).to(self.device)
        _lay_channels_last(self.objective)
        parameters = [value for value in self.objective.parameters() if value.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=config.optimizer.rate)
        self.average: MovingAverage | None = None
        if config.optimizer.ema:
            self.average = MovingAverage(self.objective, config.optimizer.ema)
        self.step = 0
        self.seconds = 0.0
        self.best = -math.inf
        self.figures: dict[str, float] = {}

    @property
    def sampler(self) -> TrainableSampler | None:
        """The sampler at work."""
        return self.objective.sampler

    @property
    def reconstructor(self) -> TrainableReconstructor:
        """The reconstructor at work."""
        return self.objective.reconstructor

    def fit(
        self,
        train: Crops,
        val: Crops,
        *,
        resume: bool = False,
        observers: Sequence[Observer] = (),
        note: Callable[[str], None] | None = None,
    ) -> dict[str, float]:
        """Trains to the end, or until a signal asks for one.

        Args:
            train: crops, in an order that the step decides.
            val: crops to measure.
            resume: goes on from ``last.pt`` of the output folder, if there is one.
            observers: told of every figure, beside the files.
            note: told, in words, what is not as the config has it and does no harm.

        Returns:
            Figures of the last validation.

        Raises:
            TrainingError: a step takes more memory than there is; or the loss is not finite: what
                is on disk is the last good state.
            Interrupted: after SIGTERM or SIGINT; what is on disk is the state at the end of a step.
            OutputError: a file cannot be written.
        """
        self._make_folder()
        last = self.folder / "last.pt"
        steps = self.config.run.total_steps(len(train))
        if resume and last.exists():
            self.load_state_dict(checkpoint.load(last), str(last))
        elif last.exists():
            raise TrainingError(f"{last}: is of an earlier training", remedy="resume")
        barrier()  # all have looked before the first process writes
        crops = Batches(train, self.config.run, self.device)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), threads(self.config.run.threads), crops:
            check_memory(self.objective, self.config, half=self.half)
            pictures = validation_pictures(val, self.config.validation.pictures, self.device)
            watching = [*observers, *self._logs(note or _silent)] if rank() == 0 else []
            self._run(self._distributed(), crops, pictures, steps, watching)
        return self.figures

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on; random numbers depend on the step alone."""
        average = {} if self.average is None else self.average.state_dict()
        return {
            "config": self.config.to_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "figures": self.figures,
            "networks": self.objective.state_dict(),
            "average": average,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], name: str) -> None:
        """Goes on from a checkpoint.

        Args:
            state: of :meth:`state_dict`.
            name: of its file, for errors.

        Raises:
            TrainingError: it is of other networks, or incomplete.
        """
        try:
            self.objective.load_state_dict(state["networks"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.step, self.best = int(state["step"]), float(state["best"])
            self.seconds = float(state["seconds"])
            self.figures = dict(state["figures"])
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            cause = str(error).splitlines()[0]  # and not the names of all layers
            raise TrainingError(f"{name}: is of a training with another config: {cause}") from error

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if rank() == 0:
                checkpoint.remove_unfinished(self.folder)
        except OSError as error:
            raise TrainingError(f"{self.folder}: {error.strerror or error}") from error

    def _logs(self, note: Callable[[str], None]) -> list[Observer]:
        logs: list[Observer] = [JsonLog(self.folder / "log.jsonl", self.step)]
        if self.config.run.tensorboard:
            try:
                logs.append(TensorBoardLog(self.folder / "tensorboard", self.step))
            except ImportError:
                note(
                    "TensorBoard is not installed, and log.jsonl alone has the curves; "
                    "pip install 'isp-meta[train]'"
                )
        return logs

    def _distributed(self) -> Callable[..., dict[str, Tensor]]:
        if world_size() == 1:
            return self.objective
        return DistributedDataParallel(
            self.objective,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            # A batch whose samples are uniform or random has no use for the sampler.
            find_unused_parameters=self.config.samples.kind == "mixed",
        )

    def _run(
        self,
        model: Callable[..., dict[str, Tensor]],
        crops: Batches,
        pictures: list[tuple[Tensor, Tensor]],
        steps: int,
        watching: Sequence[Observer],
    ) -> None:
        run = self.config.run
        start = time.perf_counter() - self.seconds
        with Interruption() as interruption:
            while self.step < steps:
                share = share_of_rate(self.step, steps, self.config.schedule)
                rate = self.config.optimizer.rate * share
                figures = self._step(model, *crops.at(self.step), rate)
                self.step += 1
                self.seconds = time.perf_counter() - start
                ends = self.step == steps
                if ends or self.step % run.log_every == 0:
                    self._tell(watching, figures)
                every = self.config.validation.every
                if ends or (every and self.step % every == 0):
                    self._validate(pictures)
                    self._tell(watching, self.figures)
                number = self._agreed(interruption.signal)
                if ends or number or self.step % run.save_every == 0:
                    self._save("last.pt")
                if number:
                    barrier()  # an end of one process makes torchrun end the others
                    raise Interrupted(number, self.folder / "last.pt", self.step)

    def _step(
        self, model: Callable[..., dict[str, Tensor]], srgb: Tensor, raw: Tensor, rate: float
    ) -> dict[str, float]:
        """One step of Adam; the losses of the whole batch, learning rate and gradient's norm."""
        config = self.config
        torch.manual_seed(seed_of(config.run.seed, self.step, _DROPOUT, rank()))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.objective.train()
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._accumulate(model, srgb, raw)
        norm = self._clip()
        values = torch.stack([*losses.values()])
        sum_over_processes([values])
        figures = dict(zip(losses, (values / world_size()).tolist(), strict=True))
        figures.update(rate=rate, gradient=float(norm))
        self._check(figures)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        return figures

    def _accumulate(
        self, model: Callable[..., dict[str, Tensor]], srgb: Tensor, raw: Tensor
    ) -> dict[str, Tensor]:
        """The losses of a process' share of a batch; gradients of all its micro-batches, added."""
        size = self.config.run.micro_batch or len(srgb)
        parts = [slice(at, min(at + size, len(srgb))) for at in range(0, len(srgb), size)]
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)
        with half:
            adapted = self.objective.adapt(srgb, raw, self.step, parts) if parts[1:] else None
        sums: dict[str, Tensor] = {}
        for part in parts:
            # The processes add their gradients up once, in the last backward pass.
            waits = isinstance(model, DistributedDataParallel) and part is not parts[-1]
            with model.no_sync() if waits else nullcontext():  # type: ignore[attr-defined]
                with half:
                    losses = model(srgb, raw, self.step, part, adapted)
                torch.autograd.backward(losses["loss"])
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach().double()
        return sums

    def _clip(self) -> Tensor:
        """Norm of the gradient of all parameters, before it was clipped."""
        parameters = [p for p in self.objective.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.config.optimizer.clip:
            nn.utils.clip_grads_with_norm_(parameters, self.config.optimizer.clip, norm)
        return norm

    def _check(self, figures: dict[str, float]) -> None:
        """Refuses to take a step that would ruin the weights."""
        odd = [name for name, value in figures.items() if not math.isfinite(value)]
        if not odd:
            return
        last = self.folder / "last.pt"
        kept = (
            f"{last} is the last good state" if last.exists() else "no checkpoint was written yet"
        )
        raise TrainingError(
            f"step {self.step + 1}: {odd[0]} is {figures[odd[0]]}; {kept}. "
            "A lower [optimizer] rate, or a clip, may help"
        )

    def _validate(self, pictures: list[tuple[Tensor, Tensor]]) -> None:
        self.objective.eval()
        with self._averaged():
            self.figures = validate(self.sampler, self.reconstructor, pictures, self.config)
        value = self.figures.get("psnr_tuned", self.figures["psnr"])
        if value > self.best:
            self.best = value
            self._save("best.pt")
            self._export()

    def _averaged(self) -> AbstractContextManager[None]:
        return nullcontext() if self.average is None else self.average.in_place()

    def _agreed(self, number: int) -> int:
        """The signal that any of the processes got: all stop after the same step."""
        if world_size() == 1:
            return number
        heard = torch.tensor(number, device=self.device)
        torch.distributed.all_reduce(heard, torch.distributed.ReduceOp.MAX)
        return int(heard)

    def _tell(self, watching: Sequence[Observer], figures: dict[str, float]) -> None:
        record = {"step": self.step, **figures, "seconds": round(self.seconds, 3)}
        for observer in watching:
            observer(record)

    def _save(self, name: str) -> None:
        if rank() == 0:
            checkpoint.save_atomic(self.folder / name, self.state_dict())

    def _export(self) -> None:
        if rank() != 0:
            return
        about = {
            "config": self.config.to_dict(paths=False),
            "step": self.step,
            "figures": self.figures,
        }
        with self._averaged():
            parts = {"sampler": self.sampler, "reconstructor": self.reconstructor}
            for name, part in parts.items():
                if part is not None:
                    path = self.folder / f"{name}.safetensors"
                    checkpoint.export(path, part.network, {"part": name, **about})


def _silent(_text: str) -> None:
    pass


def _lay_channels_last(module: nn.Module) -> None:
    for parameter in module.parameters():
        # That of a 1x1 convolution has both layouts at once, of which DDP knows one.
        if parameter.dim() == 4 and max(parameter.shape[2:]) > 1:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _check_shares(config: TrainingConfig) -> None:
    """Refuses what cannot be shared out among the processes."""
    count = world_size()
    if config.run.batch % count:
        raise TrainingError(f"[run] batch: {config.run.batch} is no multiple of {count} processes")
    if config.loss.meta and config.meta_pictures % count:
        raise TrainingError(
            f"[meta] pictures: {config.meta_pictures} is no multiple of {count} processes"
        )

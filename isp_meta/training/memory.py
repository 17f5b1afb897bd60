"""What a training step takes of memory, told before the first one.

crops ─▶ Objective ─▶ bytes kept for the backward pass ─▶ × crops at once + weights, data
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..errors import TrainingError
from .config import TrainingConfig
from .distributed import world_size
from .losses import Objective

__all__ = ["Need", "check_memory", "free_memory", "measure"]

# Weights, their gradients, Adam's two moments, θ′ and its successor, the moving average, and the
# weights that it takes the place of while it is validated.
_COPIES = 8
# Batches that are read ahead, the one at work, and copies of it.
_BATCHES = 6
# Gradients of activations, and what convolutions work in, beside what is kept for them.
_BESIDE = 1.25
_PROBE = 2  # crops; batch norm takes no single one whose deepest level is one pixel
_GIGABYTE = 1e9


@dataclass(frozen=True)
class Need:
    """Bytes that a step takes.

    Attributes:
        fixed: however many crops are in memory at once.
        crop: for each of those.
        task: for each of those that the meta loss sees as well.
        tasks: crops of a process that the meta loss sees.
    """

    fixed: int
    crop: int
    task: int
    tasks: int

    def bytes(self, crops: int) -> int:
        """With so many crops in memory at once."""
        return self.fixed + crops * self.crop + min(crops, self.tasks) * self.task

    def most(self, crops: int, free: int) -> int:
        """How many crops fit, up to a number; 0: not even one."""
        return max((n for n in range(1, crops + 1) if self.bytes(n) <= free), default=0)


def measure(objective: Objective, config: TrainingConfig, *, half: bool) -> Need:
    """Finds what a step takes, by the forward passes of two crops and of three.

    Args:
        objective: of the training; not changed.
        config: of the training.
        half: whether networks compute in bfloat16.
    """
    probe = copy.deepcopy(objective).train()
    parameters = list(probe.parameters())
    device, side = parameters[0].device, config.data.crop
    generator = torch.Generator().manual_seed(0)
    crops = torch.rand(_PROBE + 1, 3, side, side, generator=generator).to(parameters[0])

    def kept(count: int, meta: float) -> int:
        probe.config = replace(
            config,
            loss=replace(config.loss, meta=meta),
            meta=replace(config.meta, pictures=0),
            run=replace(config.run, batch=len(crops) * world_size()),
        )
        counted = _Kept(parameters)
        with torch.autocast(device.type, torch.bfloat16, enabled=half), counted.hooks:
            probe(crops[:count], crops[:count], 0)
        return round(_BESIDE * counted.most)

    plain = kept(_PROBE, 0.0), kept(_PROBE + 1, 0.0)
    whole = plain  # with tasks of the meta loss
    if config.loss.meta:
        whole = kept(_PROBE, config.loss.meta), kept(_PROBE + 1, config.loss.meta)
    crop = plain[1] - plain[0]
    task = whole[1] - whole[0] - crop
    weights = sum(value.numel() * value.element_size() for value in parameters)
    batch = config.run.batch // world_size()
    data = 2 * batch * crops[0].numel() * crops.element_size()
    tasks = config.meta_pictures // world_size() if config.loss.meta else 0
    fixed = _COPIES * weights + _BATCHES * data + whole[0] - _PROBE * (crop + task)
    return Need(fixed, crop, task, tasks)


class _Kept:
    """Counts the bytes that graphs keep for their backward passes, at most at any time.

    Attributes:
        hooks: to be entered.
        most: bytes, of every storage once, without those of parameters.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.hooks = saved_tensors_hooks(self._pack, lambda held: held.tensor)
        self.most = self._now = 0
        self._known = {value.untyped_storage().data_ptr() for value in parameters}
        self._users: Counter[int] = Counter()

    def _pack(self, tensor: Tensor) -> _Held:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._users[storage.data_ptr()] += 1
            if self._users[storage.data_ptr()] == 1:
                self._now += storage.nbytes()
                self.most = max(self.most, self._now)
        return _Held(tensor, self)

    def release(self, tensor: Tensor) -> None:
        """Its graph is gone."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._users[storage.data_ptr()] -= 1
            if self._users[storage.data_ptr()] == 0:
                self._now -= storage.nbytes()


class _Held:
    """What a graph keeps in place of a tensor."""

    def __init__(self, tensor: Tensor, kept: _Kept) -> None:
        self.tensor, self.kept = tensor, kept

    def __del__(self) -> None:
        self.kept.release(self.tensor)


def check_memory(objective: Objective, config: TrainingConfig, *, half: bool) -> Need | None:
    """Refuses a training whose steps do not fit into memory.

    Args:
        objective, config, half: as in :func:`measure`.

    Returns:
        What a step takes; None where the system does not say what is free.

    Raises:
        TrainingError: it is more than there is; names the micro-batch that would fit.
    """
    free = free_memory(next(objective.parameters()).device)
    if free is None:
        return None
    need = measure(objective, config, half=half)
    batch = config.run.batch // world_size()
    at_once = min(batch, config.run.micro_batch or batch)
    if need.bytes(at_once) <= free:
        return need
    most = need.most(batch, free)
    help_ = (
        f"with [run] micro_batch = {most} it takes {need.bytes(most) / _GIGABYTE:.1f}"
        if most
        else "narrower networks or smaller crops take less"
    )
    raise TrainingError(
        f"[run] batch: a step with {at_once} crops in memory takes about "
        f"{need.bytes(at_once) / _GIGABYTE:.1f} GB, and {free / _GIGABYTE:.1f} are free; {help_}"
    )


def free_memory(device: torch.device) -> int | None:
    """Bytes that may still be taken on a device; None where the system does not say.

    On the processor, what Linux has to give without swapping, or less where a control group limits
    the process.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device.type != "cpu":
        return None
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    limits = [_left_of_group(Path("/sys/fs/cgroup")), free]
    return min(limit for limit in limits if limit is not None)


def _left_of_group(folder: Path) -> int | None:
    """Bytes that a control group has left, version 2; None: it has no limit."""
    try:
        limit = int((folder / "memory.max").read_text())  # "max", where there is none
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(stat["inactive_file"]))
    except (OSError, KeyError, ValueError):
        return None

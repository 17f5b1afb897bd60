"""Fine-tuning a network to one picture by the samples that came with it.

samples ─┬─ held out ─────────────────────▶ error ─▶ the best step, and when to stop
         └─ the rest ─▶ online loss ─▶ Adam ─▲
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from ..networks.tiles import Window, evaluating, run_tiled
from ..samples import Samples
from .planes import sample_planes

if TYPE_CHECKING:
    from .trainable import TrainableReconstructor

__all__ = ["FineTuning", "fine_tune"]

_SURE = 2.0
_PATIENCE = 3  # looks at the samples held out without a gain, after which tuning ends

_Tuned = TypeVar("_Tuned", bound="TrainableReconstructor")


@dataclass(frozen=True)
class FineTuning:
    """How to fine-tune; the arguments of :meth:`TrainableReconstructor.fine_tune`.

    Raises:
        ValueError: one out of range.
    """

    steps: int = 10
    lr: float = 1e-4
    held_out: float = 0.1
    seed: int = 0
    pixels: int = 2**18
    tile: int = 256

    def __post_init__(self) -> None:
        if self.steps < 0 or not 0 < self.lr < float("inf"):
            raise ValueError(f"steps must be >= 0 and lr > 0, not {self.steps} and {self.lr}")
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), not {self.held_out}")
        if self.pixels < 1 or self.tile < 1:
            raise ValueError(f"pixels and tile must be >= 1, not {self.pixels} and {self.tile}")

    def of_check(self) -> FineTuning:
        """What a look at the samples held out sees: half as much, in more places."""
        return dataclasses.replace(
            self, pixels=max(1, self.pixels // 2), tile=max(1, self.tile // 2)
        )


def fine_tune(
    reconstructor: _Tuned, srgb: Tensor, samples: Samples, settings: FineTuning
) -> _Tuned:
    """A tuned copy; see :meth:`TrainableReconstructor.fine_tune`.

    Args:
        srgb: (3, H, W). samples: at least one, of that picture.
    """
    # Whoever asks may have switched gradients off; tensors made in inference mode have none.
    with torch.inference_mode(False), torch.enable_grad():
        tuned = copy.deepcopy(reconstructor)
        generator = torch.Generator().manual_seed(settings.seed)
        checked = _windows(samples, settings.of_check(), generator)
        seen, withheld = _hold_out(samples, checked, settings.held_out, generator)
        parameters = [p.requires_grad_() for p in tuned.network.parameters()]
        optimizer = torch.optim.Adam(parameters, settings.lr)
        best = _Best(tuned, srgb, seen, withheld, checked) if withheld is not None else None
        with evaluating(tuned.network):
            for _ in range(settings.steps):
                optimizer.zero_grad()
                windows = _windows(samples, settings, generator)
                if _add_gradients(tuned, srgb, seen, windows, generator):
                    optimizer.step()
                if best is not None and not best.look():
                    break
        if best is not None:
            tuned.network.load_state_dict(best.weights)
        for parameter, original in zip(parameters, reconstructor.network.parameters(), strict=True):
            parameter.grad = None
            parameter.requires_grad_(original.requires_grad)
    return tuned


def _windows(samples: Samples, settings: FineTuning, generator: torch.Generator) -> list[Window]:
    """The whole picture, or as many random tiles of it as a step may see."""
    height, width = samples.height, samples.width
    if height * width <= settings.pixels:
        return [Window(0, height, 0, width)]
    down, across = min(height, settings.tile), min(width, settings.tile)

    def draw(length: int, side: int) -> int:
        # Around a random pixel: of random corners few would reach the picture's border.
        middle = int(torch.randint(length, (), generator=generator))
        return min(max(0, middle - side // 2), length - side)

    corners = [
        (draw(height, down), draw(width, across))
        for _ in range(max(1, settings.pixels // (down * across)))
    ]
    return [Window(top, top + down, left, left + across) for top, left in corners]


def _hold_out(
    samples: Samples, windows: list[Window], share: float, generator: torch.Generator
) -> tuple[Samples, Samples | None]:
    """Those to learn from; those withheld, a share of the ones that lie within the windows."""
    row, column = samples.index // samples.width, samples.index % samples.width
    inside = torch.zeros_like(row, dtype=torch.bool)
    for top, bottom, left, right in windows:
        inside |= (row >= top) & (row < bottom) & (column >= left) & (column < right)
    candidates = inside.nonzero()[:, 0]
    if share == 0 or len(candidates) < 2:
        return samples, None
    count = min(max(1, round(share * len(candidates))), len(candidates) - 1)
    chosen = torch.randperm(len(candidates), generator=generator)[:count]
    held = torch.zeros_like(inside)
    held[candidates[chosen.to(candidates.device)]] = True
    seen, withheld = (
        dataclasses.replace(samples, index=samples.index[part], value=samples.value[part])
        for part in (~held, held)
    )
    return seen, withheld


def _add_gradients(
    reconstructor: TrainableReconstructor,
    srgb: Tensor,
    samples: Samples,
    windows: list[Window],
    generator: torch.Generator,
) -> bool:
    """Gradients of the online loss over the windows, one after the other; False: no samples."""
    network, dtype = reconstructor.network, reconstructor.dtype
    parameter = next(network.parameters())
    total = 0.0
    for window in windows:
        kept, mask = sample_planes(samples, window)
        planes = (window.of(srgb), kept, mask)
        picture, kept, mask = (plane[None].to(parameter) for plane in planes)
        online = reconstructor.online(picture, kept, mask, generator)
        weight = float(online.weight.sum())
        if weight == 0:
            continue
        inputs = online.inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(parameter.device.type, dtype, enabled=dtype is not None):
            raw = network(inputs)
        error = (online.weight * (raw.to(online.target) - online.target).abs()).sum()
        error.backward()
        total += weight
    if total == 0:
        return False
    for p in network.parameters():
        if p.grad is not None:
            p.grad /= 3 * total
    return True


class _Best:
    """The weights that met the withheld samples best so far.

    Weights are better than those before tuning where they meet the samples better by more than
    chance: by twice the standard error of the mean difference.
    """

    def __init__(
        self,
        reconstructor: TrainableReconstructor,
        srgb: Tensor,
        seen: Samples,
        withheld: Samples,
        windows: list[Window],
    ) -> None:
        self.reconstructor, self.srgb, self.windows = reconstructor, srgb, windows
        self.read = reconstructor.window_reader(srgb, seen)
        self.truth = [sample_planes(withheld, window) for window in windows]
        self.untuned = self._errors()
        self.error = float(self.untuned.mean())
        self.looks_without_gain = 0
        self._keep()

    def look(self) -> bool:
        """Compares the network as it is now; False: it is time to stop."""
        errors = self._errors()
        gain = self.untuned - errors
        chance = float(gain.std()) / len(gain) ** 0.5 if len(gain) > 1 else 0.0
        error = float(errors.mean())
        if error < self.error and float(gain.mean()) > _SURE * chance:
            self.error, self.looks_without_gain = error, 0
            self._keep()
        else:
            self.looks_without_gain += 1
        return self.looks_without_gain < _PATIENCE

    def _keep(self) -> None:
        state = self.reconstructor.network.state_dict()
        self.weights = {name: value.clone() for name, value in state.items()}

    @torch.no_grad()
    def _errors(self) -> Tensor:
        """(N,) squared error of each withheld sample, float64."""
        found = []
        size = self.srgb.shape[-2], self.srgb.shape[-1]
        network, dtype = self.reconstructor.network, self.reconstructor.dtype
        for window, (value, mask) in zip(self.windows, self.truth, strict=True):
            # Without what lies around it, as the steps see their tiles.
            raw = run_tiled(network, self.read, size, window=window, halo=0, dtype=dtype)
            error = (raw.clamp_(0, 1).to(value) - value).square_().sum(0)
            found.append(error[mask[0] > 0].double())
        return torch.cat(found)

"""Pointwise stages on one band of pixels after the other, each band through all of them.

    picture ─▶ band ─▶ stage ─▶ stage ─▶ … ─▶ band ─▶ picture
                  (in cache all the way, one core a band)

Stage by stage, every intermediate picture goes out to memory and comes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from ..frame import Frame
from ..processors.workers import workers
from ..stage import Stage
from .blame import blaming

__all__ = ["BAND", "pointwise_run", "run_banded"]

# Pixels of a band; a multiple of every vector unit's width, so that no stage computes a band's last
# pixels by other instructions, which may differ in the last bit.
BAND = 1 << 17

_PICTURES = ("codes", "mosaic", "raw", "rgb", "srgb")


def pointwise_run(stages: Iterable[Stage], frame: Frame) -> list[Stage]:
    """The first of the stages, as many as may run band by band together; perhaps none.

    They must be pointwise and untapped; the pictures they take large, of one size and on a CPU; and
    neither autograd nor a tracer may record what is done, for each follows its own thread alone.
    """
    run: list[Stage] = []
    given: frozenset[str] = frozenset()
    sizes: set[torch.Size] = set()
    if torch.compiler.is_compiling():
        return run
    for stage in stages:
        taken = stage.needs - given
        if not stage.pointwise or _is_tapped(stage) or not taken <= frame.filled:
            break
        pictures = [getattr(frame, name) for name in sorted(taken)]
        if not all(isinstance(picture, Tensor) and _is_plain(picture) for picture in pictures):
            break
        sizes = sizes | {picture.shape[-2:] for picture in pictures}
        if len(sizes) != 1 or max(sizes).numel() <= BAND:
            break
        if torch.is_grad_enabled() and any(
            tensor.requires_grad for tensor in (*pictures, *stage.parameters())
        ):
            break
        run.append(stage)
        given |= stage.gives
    return run


def _is_tapped(stage: Stage) -> bool:
    return bool(stage._forward_hooks or stage._forward_pre_hooks)


def _is_plain(picture: Tensor) -> bool:
    return (
        picture.device.type == "cpu"
        and type(picture) is Tensor
        and not torch._C._functorch.is_functorch_wrapped_tensor(picture)
        and unpack_dual(picture).tangent is None  # type: ignore[no-untyped-call]
        and not torch.is_autocast_enabled("cpu")
    )


def run_banded(
    stages: Sequence[Stage], frame: Frame, wanted: frozenset[str], position: int = 0
) -> tuple[Frame, list[float]]:
    """Runs consecutive pointwise stages.

    Args:
        stages: from :func:`pointwise_run`.
        frame: with pictures of one size.
        wanted: fields to make; what the stages only pass among themselves is never whole.
        position: of the first of the stages in its pipeline, for errors.

    Returns:
        The frame with the wanted fields filled, and each stage's seconds, over all workers.
    """
    taken = frozenset[str]().union(*(stage.needs for stage in stages)) & frame.filled
    first = getattr(frame, sorted(taken)[0])
    pixels = first.shape[-2:].numel()
    blank = frame.replace(**dict.fromkeys(set(_PICTURES) - taken))
    flat = {name: getattr(frame, name).flatten(-2).unsqueeze(-2) for name in taken}
    inference = torch.is_inference_mode_enabled()

    def run(start: int) -> tuple[Frame, list[float]]:
        with torch.inference_mode() if inference else torch.no_grad():
            band = blank.replace(**{n: t[..., start : start + BAND] for n, t in flat.items()})
            seconds = []
            for place, stage in enumerate(stages, position):
                begun = time.perf_counter()
                with blaming(place, stage):
                    band = stage(band)
                seconds.append(time.perf_counter() - begun)
            return band, seconds

    made, seconds = run(0)
    gives = frozenset[str]().union(*(stage.gives for stage in stages)) & wanted
    whole = {}
    for name in gives:
        part: Tensor = getattr(made, name)
        whole[name] = part.new_empty(*part.shape[:-2], *first.shape[-2:])

    def keep(band: Frame, start: int) -> None:
        for name, picture in whole.items():
            picture.flatten(-2)[..., start : start + BAND] = getattr(band, name).squeeze(-2)

    def work(start: int) -> list[float]:
        band, spent = run(start)
        with torch.inference_mode() if inference else torch.no_grad():
            keep(band, start)
        return spent

    keep(made, 0)
    with workers() as pool:
        for spent in pool.map(work, range(BAND, pixels, BAND)):
            seconds = [a + b for a, b in zip(seconds, spent, strict=True)]
    untouched = {name: getattr(frame, name) for name in set(_PICTURES) - gives}
    return made.replace(**(untouched | whole)), seconds

"""Finding how a camera renders from one raw file and the picture that the camera made of it.

raw ─▶ stages before rgb ─▶ shrunk ─▶ stages alike at any size ─▶ compared ◀─ shrunk ◀─ picture
                                          ▲──────── gradient ────────┘
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import PictureMismatch
from ..frame import Frame
from ..metrics import psnr
from ..pipeline import Pipeline
from ..registration import as_stored
from ..registration.match import directions, match
from ..stage import Stage
from ..stages import (
    HighlightReconstruction,
    LensShading,
    LocalToneMapping,
    ToneCurve,
    Vignette,
    tone_curve,
)

__all__ = ["Fit", "fit"]

_KNOTS = 257
_MOST_MISSING = 64  # Rows or columns that a raw developer may cut off.
_FLAT = 0.02  # Spread of a block of pixels, in srgb, that halves its weight.
_SMOOTH = 1e-2  # Weight of the tone curve's bends, so that levels no pixel has follow the others.
_MIDDLE = 512  # Pixels a side by which pictures are laid over each other.
# Renderings of one photograph correlate by 0.6 and more, of different ones by 0.02 at most.
_LEAST_LIKENESS = 0.2
_FIELDS = frozenset({"mosaic", "raw", "rgb"})

# Not pointwise, but they do to a picture's block means what they do to the picture.
_ALIKE = (HighlightReconstruction, LensShading, LocalToneMapping, Vignette)
# What of them is fitted unless something else is asked for.
_TASTE = {
    LocalToneMapping: ("strength", "detail", "shadows", "highlights"),
    Vignette: ("coefficients",),
}

Progress = Callable[[int, float], None]
_Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Fit:
    """What :func:`fit` found.

    Attributes:
        pipeline: with the parameters that it found, none of them asking for the frame's camera, and
            none of them learned any longer; pipelines within it are dissolved.
        before, after: PSNR against the finished picture in dB, with the pipeline as given and as
            fitted; over all pixels, at full size.
        loss: of every step.
    """

    pipeline: Pipeline
    before: float
    after: float
    loss: tuple[float, ...]


def fit(
    pipeline: Pipeline,
    frame: Frame,
    srgb: Tensor,
    *,
    learn: Sequence[str] = (),
    steps: int = 400,
    rate: float = 0.005,
    side: int = 400,
    progress: Progress | None = None,
) -> Fit:
    """Calibrates a pipeline to a finished picture, by gradient descent on its parameters.

        loss = mean of w |rendered - picture| over blocks of pixels,  w = 1 / (1 + (spread / 0.02)²)

    The stages from the first that gives ``rgb`` on are fitted; parameters that the frame's camera
    would supply begin there. A block with an edge in it counts little, since the mean of a
    rendering is not the rendering of a mean; stages that act on fine detail (sharpening, noise
    reduction, JPEG) are left as they are and take no part. Tone curves get 257 uniform knots. The
    same input gives the same result.

    Args:
        pipeline: from what ``frame`` holds to ``srgb``; not changed.
        frame: with ``codes`` (or what the pipeline needs) and ``camera``.
        srgb: (3, H, W) in [0, 1], the finished picture, in the raw's pixel order or upright; it may
            lack up to 64 of the raw's rows and columns.
        learn: what to fit, as in "ToneCurve" or "LocalToneMapping.strength"; empty: every parameter
            of pointwise stages, the taste of local tone mapping and a vignette's coefficients.
        steps: of Adam.
        rate: its learning rate; falls to 0 as a cosine does.
        side: pixels of the longer side of the block means.
        progress: called with the number of steps done and the loss.

    Raises:
        PictureMismatch: another size, or another picture.
        PipelineOrderError: the frame lacks what the pipeline needs, or that gives no ``srgb``.
        ValueError: nothing to fit, no stage or parameter of a name, or arguments out of range.
    """
    if steps < 1 or side < 1 or not rate > 0:
        raise ValueError("steps, side and rate must be positive")
    if srgb.dim() != 3 or srgb.shape[0] != 3 or not srgb.is_floating_point():
        raise ValueError(f"srgb must be (3, H, W) floating point, not {tuple(srgb.shape)}")
    if not bool(torch.isfinite(srgb).all()):
        raise ValueError("srgb must be finite")
    bound = Pipeline(_flat(pipeline.bind(frame.camera)))
    _settle(bound)
    first = next((i for i, stage in enumerate(bound) if "rgb" in stage.gives), len(bound))
    rest = bound[first:]
    # These act alike on a picture and on its block means; what acts on detail alone does not.
    fitted = Pipeline(stage for stage in rest if stage.pointwise or isinstance(stage, _ALIKE))
    _learn(fitted, learn)
    with torch.no_grad():
        frame = bound[:first](frame, keep=_FIELDS).replace(codes=None)
    before = _render(rest, frame)
    srgb, window = _align(srgb.to(before), before, frame.camera.orientation)
    before_db = psnr(before[:, window[0], window[1]], srgb)
    del before
    for curve in _curves(fitted):
        _even_out(curve)
    loss = _descend(
        fitted, _shrink(frame, window, side), _Target.of(srgb, side), steps, rate, progress
    )
    _settle(bound)
    after = _render(rest, frame)[:, window[0], window[1]]
    return Fit(bound, before_db, psnr(after, srgb), loss)


def _flat(stages: Pipeline) -> Iterator[Stage]:
    for stage in stages:
        if isinstance(stage, Pipeline):
            yield from _flat(stage)
        else:
            yield stage


def _settle(stages: Pipeline) -> None:
    """Makes plain numbers of all that is learned, in place."""
    for module in stages.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, value.detach().clone())


def _learn(stages: Pipeline, names: Sequence[str]) -> None:
    if names:
        stages.learn(*names)
    for stage in [] if names else stages:
        if stage.pointwise:
            stage.learn()
        elif taste := _TASTE.get(type(stage)):
            stage.learn(*taste)
    if not any(True for _ in stages.parameters()):
        raise ValueError("the pipeline has no parameter to fit from its first stage of rgb on")


def _curves(stages: Pipeline) -> Iterator[ToneCurve]:
    """Tone curves that are learned."""
    yield from (s for s in stages if isinstance(s, ToneCurve) and isinstance(s.knots, nn.Parameter))


def _even_out(curve: ToneCurve) -> None:
    """Puts the curve on few uniform knots, so that each is fitted by many pixels."""
    x, y = (points.detach() for points in curve.points())
    even = torch.linspace(0, 1, _KNOTS, dtype=y.dtype, device=y.device)
    del curve.knots
    curve.hold("knots", nn.Parameter(tone_curve(even, y, x).float()))


@torch.no_grad()
def _render(stages: Pipeline, frame: Frame) -> Tensor:
    result: Tensor = stages(frame, keep=("srgb",)).require("srgb", by="fit")
    return result


def _align(srgb: Tensor, rendered: Tensor, orientation: int) -> tuple[Tensor, _Window]:
    """The picture in the raw's pixel order, and the rows and columns of the raw that it shows."""
    best, found = -math.inf, None
    for picture in (srgb, *([as_stored(srgb, orientation)] if orientation > 1 else [])):
        height, width = picture.shape[1:]
        missing = rendered.shape[1] - height, rendered.shape[2] - width
        if all(0 <= lines <= _MOST_MISSING for lines in missing):
            likeness, top, left = _place(picture[1], rendered[1])
            if likeness > best:
                window = slice(top, top + height), slice(left, left + width)
                best, found = likeness, (picture, window)
    if found is None:
        shown, wanted = (f"{p.shape[2]}x{p.shape[1]}" for p in (srgb, rendered))
        raise PictureMismatch(
            f"the picture has {shown} pixels, the raw {wanted}; it may lack {_MOST_MISSING} rows "
            "and columns, not more"
        )
    if best < _LEAST_LIKENESS:
        raise PictureMismatch(
            f"the picture does not show what the raw shows (correlation {best:.2f})"
        )
    return found


def _place(part: Tensor, whole: Tensor) -> tuple[float, int, int]:
    """Where a picture lies in a slightly larger one, by the gradients of its middle.

    Args:
        part: (h, w). whole: (H, W), no smaller.

    Returns:
        The largest correlation, and the (top, left) where it is; 1 and the first place where one of
        them has no gradient, so that nothing says otherwise.
    """
    spans, wider = [], []
    for size, full in zip(part.shape, whole.shape, strict=True):
        start = max(0, (size - _MIDDLE) // 2)
        spans.append(slice(start, min(size, start + _MIDDLE)))
        wider.append(slice(start, min(size, start + _MIDDLE) + full - size))
    if min(part.shape) < 3:  # a gradient takes three pixels
        return 1.0, 0, 0
    middle, around = directions(part[tuple(spans)]), directions(whole[tuple(wider)])
    if not bool(middle.any() and around.any()):
        return 1.0, 0, 0
    found = match(middle, around, slack=0)
    return found.likeness, round(found.top), round(found.left)


def _shrink(frame: Frame, window: _Window, side: int) -> Frame:
    """Block means of the frame's fields over the rows and columns that the picture shows."""
    rows, columns = window
    fields = {name: getattr(frame, name)[:, rows, columns] for name in _FIELDS & frame.filled}
    return frame.replace(**{name: _means(field, side) for name, field in fields.items()})


def _means(picture: Tensor, side: int) -> Tensor:
    block = math.ceil(max(picture.shape[1:]) / side)
    return functional.avg_pool2d(picture[None], block, ceil_mode=True)[0]


@dataclass(frozen=True, eq=False)
class _Target:
    """Block means of the finished picture, (3, h, w), and (1, h, w) how much each block counts."""

    srgb: Tensor
    weight: Tensor

    @classmethod
    def of(cls, srgb: Tensor, side: int) -> _Target:
        means = _means(srgb, side)
        variance = (_means(srgb.square(), side) - means.square()).clamp(min=0)
        return cls(means, 1 / (1 + variance.mean(0, keepdim=True) / _FLAT**2))


def _descend(
    stages: Pipeline,
    frame: Frame,
    target: _Target,
    steps: int,
    rate: float,
    progress: Progress | None,
) -> tuple[float, ...]:
    optimizer = torch.optim.Adam(stages.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for step in range(steps):
        error = (stages(frame, keep=("srgb",)).require("srgb", by="fit") - target.srgb).abs()
        loss = (target.weight * error).sum() / (3 * target.weight.sum())
        bends = sum(curve.points()[1].diff().diff().abs().mean() for curve in _curves(stages))
        optimizer.zero_grad()
        (loss + _SMOOTH * bends).backward()
        optimizer.step()
        schedule.step()
        stages.project()
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(step + 1, losses[-1])
    return tuple(losses)

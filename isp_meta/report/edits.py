"""The original and the recovered raw under each edit, side by side, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from ..camera import Camera
from ..comparison import EDITS, EditError
from ..comparison.edits import Edit, color_difference, develop
from ..pictures import error_map, tensor_of
from ..registration import upright
from ..stages import srgb_encode
from .embedding import jpeg_uri, text
from .windows import reduced_size

__all__ = ["edits_section"]

_SIDE = 480
_FULL = 10  # CIEDE2000 from which on a map is white


def edits_section(
    estimate: Tensor, truth: Tensor, camera: Camera, errors: tuple[EditError, ...], width: int
) -> str:
    """Three pictures for each edit; nothing where the picture is too small to be judged.

    Args:
        estimate, truth: (3, H, W) linear raw-RGB. camera: of both.
        errors: what is left after each of :data:`isp_meta.comparison.EDITS`; () : nothing is shown.
        width: of a picture at most, pixels.
    """
    if not errors:
        return ""
    size = min(width, _SIDE)
    rows = (
        _row(error, _pictures(estimate, truth, camera, edit, size))
        for edit, error in zip(EDITS, errors, strict=True)
    )
    return (
        '<section aria-labelledby="edits-title"><h2 id="edits-title">After an edit</h2>'
        "<p>The original raw and the recovered one, developed alike, and where they differ: "
        f"CIEDE2000, black none, white {_FULL} or more; about 1 is just seen. Means over 8×8 "
        "pixels tell what is seen of blotches, where grain averages out.</p>"
        f"{''.join(rows)}</section>"
    )


def _pictures(
    estimate: Tensor, truth: Tensor, camera: Camera, edit: Edit, side: int
) -> Iterator[Tensor]:
    """Original, recovered and their difference, upright and encoded for display."""
    got, true = (develop(raw, camera, edit) for raw in (estimate, truth))
    size = reduced_size((true.shape[1], true.shape[2]), side)

    def small(picture: Tensor) -> Tensor:
        return upright(functional.adaptive_avg_pool2d(picture, size), camera.orientation)

    yield from (srgb_encode(small(shown)) for shown in (true, got))
    difference = small(color_difference(got, true)[None])
    yield tensor_of(error_map(difference, torch.zeros(()), _FULL))


def _row(error: EditError, pictures: Iterator[Tensor]) -> str:
    name = text(error.name)
    captions = (
        f"{name}: original",
        "recovered",
        f"CIEDE2000 {error.delta_e:.2f}, of 8×8 means {error.blotches:.2f}",
    )
    figures = (
        f'<figure><img src="{jpeg_uri(picture)}" width="{picture.shape[2]}" '
        f'height="{picture.shape[1]}" alt="{name}: {caption.removeprefix(f"{name}: ")}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for picture, caption in zip(pictures, captions, strict=True)
    )
    return f'<div class="trio">{"".join(figures)}</div>'

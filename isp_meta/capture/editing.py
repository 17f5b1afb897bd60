"""What a picture's metadata tells raw editors, of all that the raw file did."""

from __future__ import annotations

import dataclasses

from .. import codec
from ..camera import EDITOR_TAGS, Camera, EditorTags
from ..frame import Frame
from ..pipeline import Pipeline
from ..stages import LensShading, LensWarp, Vignette
from .options import CaptureOptions

__all__ = ["for_editors"]

# Of a rate's budget: what editors' tags may take of it.
_SHARE = 1 / 8
_SHADING, _WARP = "OpcodeList2", "OpcodeList3"


def for_editors(frame: Frame, pipeline: Pipeline, options: CaptureOptions) -> Camera:
    """The rendered frame's camera with the tags that are to travel, and no others.

    Args:
        frame: with ``raw``. pipeline: that made it. options: say how many bytes there are.
    """
    raw, camera = frame.require("raw", "embed"), frame.camera
    editing, room, rate = camera.editing, options.editor_tags, options.rate
    # A pipeline that crops or scales leaves nothing where the tags say.
    if editing is None or editing.size != tuple(raw.shape[-2:]):
        return camera.replace(editing=None)
    if not options.lossless and any(map(_corrects, pipeline.modules())):
        editing = _without(editing, _SHADING)
    if any(isinstance(stage, LensWarp) for stage in pipeline.modules()):
        editing = _without(editing, _WARP)
    budget = None if rate is None else rate.budget(raw.shape[-2] * raw.shape[-1])
    if budget is not None:
        room = min(room, int(_SHARE * budget))
    return camera.replace(editing=codec.editing_within(editing, room))


def _corrects(stage: object) -> bool:
    """Whether a stage has taken the lens's shading out of ``raw`` itself."""
    return isinstance(stage, LensShading | Vignette) and stage.field == "mosaic"


def _without(editing: EditorTags, name: str) -> EditorTags:
    tags = {code: tag for code, tag in editing.tags.items() if EDITOR_TAGS[code].name != name}
    return dataclasses.replace(editing, tags=tags)

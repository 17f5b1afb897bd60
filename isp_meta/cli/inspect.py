"""``isp-meta inspect``: what a JPEG carries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import errors, print_json, show
from .pipes import named, source

if TYPE_CHECKING:
    from ..recovery import Metadata

__all__ = ["command", "describe"]


def describe(metadata: Metadata) -> dict[str, Any]:
    """The metadata as plain values, for JSON."""
    payload, samples, camera = metadata.stored, metadata.stored.samples, metadata.stored.camera
    pixels = samples.height * samples.width
    return {
        "picture": metadata.match,
        "source": named(str(metadata.source)),
        "bytes": metadata.size,
        "bits_per_pixel": metadata.bits_per_pixel,
        "width": samples.width,
        "height": samples.height,
        "samples": len(samples),
        "share_of_pixels": len(samples) / pixels,
        "cell": samples.cell,
        "levels": payload.steps.levels,
        "slope_at_black": payload.steps.slope / 64,
        "values": "control" if samples.control else "measured",
        "interpolation": "stored" if samples.model else "found by recovery",
        **_editing(metadata),
        "mosaic": _mosaic(metadata),
        "mosaic_bytes": 0 if payload.mosaic is None else len(payload.mosaic.data),
        **_depth(metadata),
        **_filter(metadata),
        **_enhancement(metadata),
        "sampler": payload.sampler,
        "demosaic": payload.demosaic,
        "make": camera.make,
        "model": camera.model,
        "cfa": camera.cfa,
        "black_level": list(camera.black_level),
        "white_level": camera.white_level,
        "as_shot_neutral": list(camera.as_shot_neutral),
        "color_matrix": list(camera.color_matrix),
        "orientation": camera.orientation,
        "exif": dict(camera.exif),
    }


def _depth(metadata: Metadata) -> dict[str, Any]:
    if (depth := metadata.stored.depth) is None:
        return {}
    return {
        "true_bits": depth.true,
        "bits_left": depth.left,
        "bits_recovered_by": f"{depth.recovery} {depth.network}".rstrip(),
    }


def _filter(metadata: Metadata) -> dict[str, Any]:
    found = metadata.stored.adaptive_filter
    return {
        "filter_bytes": 0 if found is None else found.size,
        "filter_sets_of_weights": 0 if found is None else found.sets,
    }


def _enhancement(metadata: Metadata) -> dict[str, Any]:
    enhancement = metadata.stored.enhancement
    return {
        "enhancement_bytes": 0 if enhancement is None else enhancement.size,
        "enhancement_step": 0 if enhancement is None else enhancement.step,
    }


def _editing(metadata: Metadata) -> dict[str, Any]:
    from .. import codec

    editing = metadata.stored.camera.editing
    return {
        "editor_tags": [] if editing is None else list(editing.names),
        "editor_bytes": codec.editing_size(editing),
    }


def _mosaic(metadata: Metadata) -> str:
    mosaic = metadata.stored.mosaic
    if mosaic is None:
        return "none"
    if metadata.usable_mosaic is None:
        return "unusable beside these pixels"
    return "guided by the picture" if mosaic.guided else "alone"


def command(
    jpeg: Annotated[
        Path, typer.Argument(metavar="JPEG", help="JPEG, PNG or TIFF with its raw.", readable=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what a JPEG carries.

    \b
    Examples:
      isp-meta inspect photo.jpg
      isp-meta inspect photo.jpg --json
      curl -s https://example.com/photo.jpg | isp-meta inspect -
    """
    from ..recovery import read_metadata

    with errors(jpeg):
        values = describe(read_metadata(source(jpeg)))
    if as_json:
        print_json(values)
        return
    for key, value in values.items():
        if isinstance(value, float):
            value = f"{value:.4g}" if value < 1 else f"{value:g}"
        elif isinstance(value, list):
            value = " ".join(
                f"{item:g}" if isinstance(item, float) else str(item) for item in value
            )
        elif isinstance(value, dict):
            value = ", ".join(f"{name} {text}" for name, text in value.items())
        # The name of a file is its owner's affair, and appears as it is.
        shown = value if key == "source" else _printable(str(value))
        show(f"{key.replace('_', ' '):<16} {shown}")


def _printable(text: str) -> str:
    """A stranger's text without what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

"""What the page says in words and numbers."""

from __future__ import annotations

import math
import re

from ..camera import Camera
from ..comparison import Comparison
from ..recovery import Metadata
from .embedding import text

__all__ = ["figures", "headline", "metadata_table"]

Rows = list[tuple[str, object]]

# Where a word begins in a name such as ExposureTime.
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SLOW = 0.3  # seconds, from which on an exposure is no fraction any more

_MATCH = {
    "exact": "exactly the one they were made for",
    "recompressed": "encoded again since; pixels changed slightly",
    "edited": "edited since; recovered by force",
    "foreign": "another one; recovered by force",
}


def _decibels(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "exact" if math.isinf(value) else f"{value:.2f} dB"


def figures(metadata: Metadata, comparison: Comparison | None) -> str:
    """The few numbers at the top, as items of a list."""
    samples = metadata.payload.samples
    pixels = samples.height * samples.width
    share = _percent(metadata.size / metadata.file_size)
    beside = "beside it" if metadata.source.suffix == ".ispmeta" else f"{share} of the file"
    items: list[tuple[str, str]] = []
    if comparison is not None:
        items += [
            (_decibels(comparison.psnr), "PSNR of the recovered raw, all pixels"),
            (
                _decibels(comparison.psnr_unclipped),
                f"PSNR, unclipped: {_percent(comparison.unclipped)} of the pixels",
            ),
            ("–" if math.isnan(comparison.ssim) else f"{comparison.ssim:.4f}", "SSIM"),
        ]
    items += [(f"{metadata.bits_per_pixel:.3f}", "bits of metadata a pixel")]
    items += [(_size(metadata.size), f"metadata, {beside}")]
    if len(samples):
        one_in = pixels / len(samples)
        items += [(f"{len(samples):,}", f"pixels kept, one in {one_in:.0f}")]
    if metadata.usable_mosaic is not None:
        items += [("lossless", "the whole mosaic is kept, to the bit")]
    return "\n".join(
        f"<li><strong>{text(value)}</strong> <span>{text(label)}</span></li>"
        for value, label in items
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _size(count: int) -> str:
    return f"{count / 1e3:,.1f} kB" if count >= 1000 else f"{count} B"


def headline(metadata: Metadata) -> str:
    """Camera, exposure and size in one line."""
    camera, samples = metadata.payload.camera, metadata.payload.samples
    parts = [_camera_name(camera), f"{samples.width} × {samples.height}"]
    parts += [_exposure(camera)]
    return " · ".join(text(part) for part in parts if part)


def _camera_name(camera: Camera) -> str:
    # Makers repeat their name in the model's.
    known = camera.model.startswith(camera.make)
    return camera.model if known else f"{camera.make} {camera.model}".strip()


def _exposure(camera: Camera) -> str:
    exif = camera.exif
    parts = []
    for name, form in (("ExposureTime", "{} s"), ("FNumber", "f/{}"), ("ISO", "ISO {}")):
        if name in exif:
            parts.append(form.format(_short(exif[name])))
    return " · ".join(parts)


def _short(value: str) -> str:
    """A fraction as photographers write it."""
    above, _, below = value.partition("/")
    try:
        number = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return value
    if 0 < number < _SLOW:
        return f"1/{1 / number:.0f}"
    return f"{number:g}"


def metadata_table(metadata: Metadata) -> str:
    """All that is known of the picture and what it carries, as groups of rows."""
    payload, samples = metadata.payload, metadata.payload.samples
    camera, mosaic = payload.camera, payload.mosaic
    kept: Rows = [
        ("read from", metadata.source.name),
        ("size", f"{metadata.size:,} bytes"),
        ("the picture is", _MATCH[metadata.match]),
        ("sampler", payload.sampler or "unknown"),
        ("cell", f"{samples.cell} × {samples.cell} pixels" if samples.cell else "none"),
        ("pixels kept", f"{len(samples):,}"),
        ("values", "control values" if samples.control else "as measured"),
        ("steps", f"{payload.steps.levels:,} from black to white"),
        ("interpolation", "stored" if samples.model else "found by recovery"),
        ("demosaicing", payload.demosaic or "unknown"),
    ]
    if mosaic is not None:
        state = "unusable beside these pixels" if metadata.usable_mosaic is None else "whole"
        kept += [("mosaic", f"{state}, {len(mosaic.data):,} bytes")]
    sensor: Rows = [
        ("make", camera.make or "unknown"),
        ("model", camera.model or "unknown"),
        ("mosaic begins with", camera.cfa),
        ("black level", _numbers(camera.black_level)),
        ("white level", f"{camera.white_level:g}"),
        ("neutral as shot", _numbers(camera.as_shot_neutral)),
        ("XYZ to camera", _numbers(camera.color_matrix)),
        ("orientation", camera.orientation),
    ]
    file: Rows = [
        ("name", metadata.path.name),
        ("size", f"{metadata.file_size:,} bytes"),
        ("pixels", f"{samples.width} × {samples.height}"),
    ]
    exif: Rows = [(_HUMP.sub(" ", name), value) for name, value in camera.exif.items()]
    groups = {"Picture": file, "Metadata": kept, "Camera": sensor, "Exposure": exif}
    return "\n".join(_group(name, rows) for name, rows in groups.items() if rows)


def _numbers(values: tuple[float, ...]) -> str:
    return "  ".join(f"{value:.5g}" for value in values)


def _group(name: str, rows: Rows) -> str:
    head = f'<tr><th colspan="2" scope="rowgroup">{text(name)}</th></tr>'
    body = "".join(
        f'<tr><th scope="row">{text(key)}</th><td>{text(value)}</td></tr>' for key, value in rows
    )
    return f"<tbody>{head}{body}</tbody>"

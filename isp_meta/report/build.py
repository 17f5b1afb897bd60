"""A page about one picture: what it carries, what is recovered of it, and how near that comes.

picture ─ recover ─▶ raw ─ tones ─▶ light ─┐
   │  └─ samples ─▶ sampling map           ├─▶ page.html with page.css and page.js in it
raw file ─ compare ─▶ figures, error map ──┘
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from string import Template

import torch
from torch import Tensor
from torch.nn import functional

from .. import io
from ..comparison import EDITS, Comparison, compare, linear_light
from ..errors import PayloadCorrupt
from ..frame import Frame
from ..io import RawLayout
from ..recovery import Metadata, read_metadata
from ..recovery.recover import recover
from ..registration import upright
from ..stages import srgb_decode, srgb_encode
from .edits import edits_section
from .embedding import text
from .histogram import Histogram
from .sections import error_section, sampling_section, static_pictures
from .tables import figures, headline, metadata_table
from .tones import Tones
from .viewer import Seen, viewer_data
from .windows import reduced_size

__all__ = ["LEAST_WIDTH", "MOST_WIDTH", "build_report", "write_report"]

LEAST_WIDTH, MOST_WIDTH = 320, 4096
"""Of the page's pictures, pixels."""

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Subject:
    """What the page is about.

    Attributes:
        metadata: what the picture carries.
        frame: recovered: ``raw``, ``srgb`` and ``samples``.
        comparison: with the raw file, where there is one. error: (h, w) of its worst channel.
        edits: the part of the page with both raw pictures after each edit.
    """

    metadata: Metadata
    frame: Frame
    comparison: Comparison | None = None
    error: Tensor | None = None
    edits: str = ""


def write_report(
    picture: str | os.PathLike[str] | Metadata,
    output: str | os.PathLike[str],
    raw: str | os.PathLike[str] | None = None,
    *,
    layout: RawLayout | None = None,
    width: int = 1600,
    force: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Writes a page about a picture; whole or not at all.

    Args:
        picture, raw, layout, width, force, progress: as for :func:`build_report`.
        output: the HTML file. overwrite: it may exist.

    Returns:
        Its bytes.

    Raises:
        As :func:`build_report`; OutputError: it cannot be written.
    """
    path = picture.path if isinstance(picture, Metadata) else picture
    sources = [path] if raw is None else [path, raw]
    io.check_target(output, overwrite=overwrite, sources=sources)
    page = build_report(
        picture, raw, layout=layout, width=width, force=force, progress=progress
    ).encode()
    io.write_atomic(output, page, overwrite=overwrite)
    return len(page)


def build_report(
    picture: str | os.PathLike[str] | Metadata,
    raw: str | os.PathLike[str] | None = None,
    *,
    layout: RawLayout | None = None,
    width: int = 1600,
    force: bool = False,
    progress: Progress | None = None,
) -> str:
    """A page about a picture that carries its raw: one HTML text that needs nothing beside it.

    Args:
        picture: a JPEG, PNG or TIFF, or what :func:`isp_meta.read_metadata` read of it.
        raw: the raw file that it was made from; None: nothing is said of how near recovery comes.
        layout: how a raw file without a header holds its codes.
        width: of its pictures' longest side at most, pixels, 320 to 4096.
        force: goes on where the picture was edited since.
        progress: called with the name of each step as it begins.

    Returns:
        HTML, with a content security policy under which nothing can be loaded or sent.

    Raises:
        ImageFileError, CarrierError: the picture cannot be read. PayloadMissing: it carries
            nothing. PayloadCorrupt: what it carries is damaged.
        RawFileError: the raw file cannot be read.
        PictureMismatch: the picture is not the one that the metadata was made for, or the raw file
            is another's. ValueError: a width out of range.
    """
    if not LEAST_WIDTH <= width <= MOST_WIDTH:
        raise ValueError(f"width must be {LEAST_WIDTH} to {MOST_WIDTH}, not {width}")
    step = progress or (lambda _name: None)
    if not isinstance(picture, Metadata):
        step("reading")
        picture = read_metadata(picture)
    subject = _subject(picture, raw, layout, width, force, step)
    step("drawing")
    with torch.no_grad():
        return _page(subject, width)


def _subject(
    metadata: Metadata,
    raw: str | os.PathLike[str] | None,
    layout: RawLayout | None,
    width: int,
    force: bool,
    step: Progress,
) -> Subject:
    frame = recover(metadata, force=force, progress=step)
    if raw is None:
        return Subject(metadata, frame)
    step("comparing")
    comparison, got, truth = compare(raw, metadata, estimate=frame, layout=layout, edits=EDITS)
    edits = edits_section(got, truth, frame.camera, comparison.edits, width)
    return Subject(metadata, frame, comparison, got.sub(truth).abs_().amax(0), edits)


def _seen(subject: Subject, width: int) -> Seen:
    """The picture and its raw as the page shows them, upright."""
    orientation = subject.frame.camera.orientation
    try:
        light = upright(linear_light(subject.frame), orientation)
    except ValueError as error:
        raise PayloadCorrupt(f"{subject.metadata.source}: {error}") from error
    srgb = upright(subject.frame.require("srgb", "report"), orientation)
    small = reduced_size((srgb.shape[1], srgb.shape[2]), width)
    small_light = functional.adaptive_avg_pool2d(light, small)
    shown = functional.adaptive_avg_pool2d(srgb_decode(srgb), small)
    tones = Tones.between(small_light, srgb_encode(shown))
    return Seen(srgb, light, shown, tones(small_light), tones)


def _page(subject: Subject, width: int) -> str:
    seen = _seen(subject, width)
    metadata, comparison = subject.metadata, subject.comparison
    name = metadata.path.name
    style, script = (_part(name) for name in ("page.css", "page.js"))
    return Template(_part("page.html")).substitute(
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
        name=text(name),
        headline=headline(metadata),
        figures=figures(metadata, comparison),
        quality="" if comparison else _NO_RAW,
        pictures=static_pictures(seen, name),
        viewer=viewer_data(seen),
        sampling=sampling_section(subject.frame, metadata, seen, width),
        error=error_section(subject.error, subject.frame.camera.orientation, width),
        edits=subject.edits,
        histogram=Histogram.of(seen.shown, seen.raw).svg(),
        histogram_text=_histogram_text(seen),
        table=metadata_table(metadata),
    )


_NO_RAW = (
    '<p class="note">How near the recovered raw comes is not known without the original raw file; '
    "a report that is made with it says.</p>"
)


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(part: str) -> str:
    """As a content security policy names what it allows (W3C CSP3, 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}"


def _histogram_text(seen: Seen) -> str:
    burnt = seen.shown.amax(0) > 0.99
    share = 100 * float(burnt.float().mean())
    most = float(seen.raw.amax().clamp(min=1).log2())
    white = f"{share:.1f} %" if share >= 0.1 else "Less than 0.1 %" if share else "Nothing"
    return (
        f"{white} of the picture is white in a channel or more. The brightest light of the "
        f"recovered raw lies {most:.1f} stops above that white."
    )

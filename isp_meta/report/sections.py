"""Parts of the page that hold pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..frame import Frame
from ..pictures import error_map, round_scale, tensor_of
from ..recovery import Metadata
from ..registration import as_stored, upright
from ..samples import Samples
from ..stages import srgb_encode
from .embedding import jpeg_uri, png_uri, text
from .sampling import detail, window_size
from .viewer import Seen
from .windows import busy, reduced_size

__all__ = ["error_section", "sampling_section", "static_pictures"]

# Of the raw's picture that stands in where scripts do not run.
_STOPS, _SIDE = -2, 800
# Of pictures that nobody looks at pixel by pixel.
_WIDE = 1200


def static_pictures(seen: Seen, name: str) -> str:
    """The picture, and its raw two stops darker where scripts do not run."""
    height, width = seen.shown.shape[1:]
    picture = jpeg_uri(srgb_encode(seen.shown))
    size = reduced_size((height, width), _SIDE)
    darker = functional.adaptive_avg_pool2d(seen.raw, size) * 2.0**_STOPS
    raw = jpeg_uri(srgb_encode(darker.clamp(0, 1)))
    return (
        f'<figure class="side picture"><img id="picture" src="{picture}" width="{width}" '
        f'height="{height}" alt="The picture: {text(name)}">'
        "<figcaption>The picture</figcaption></figure>"
        f'<noscript><figure class="side"><img src="{raw}" width="{size[1]}" height="{size[0]}" '
        'alt="The recovered raw, developed two stops darker">'
        "<figcaption>The recovered raw, two stops darker</figcaption></figure></noscript>"
    )


def sampling_section(frame: Frame, metadata: Metadata, seen: Seen, width: int) -> str:
    """The picture painted from its samples alone, and a part of it with each of them."""
    samples: Samples = frame.require("samples", "report")
    if not len(samples):
        return '<p class="note">No single pixels are kept: the whole mosaic is.</p>'
    orientation = frame.camera.orientation
    size = (samples.height, samples.width)
    # The reduced picture in the sensor's order again, as samples are.
    shown = functional.adaptive_avg_pool2d(
        frame.require("srgb", "report"), reduced_size(size, width)
    )
    window = busy(shown, window_size(samples), size)
    part = detail(frame, window, metadata.payload.sampler)
    painted = _painted(samples, seen, orientation, width)
    small = upright(part.picture, orientation)
    rows, columns = small.shape[1] // part.zoom, small.shape[2] // part.zoom
    return (
        '<div class="pair">'
        f'<figure><img src="{jpeg_uri(painted)}" width="{painted.shape[2]}" '
        f'height="{painted.shape[1]}" alt="The picture, painted from its kept pixels alone">'
        f"<figcaption>Painted from the {len(samples):,} kept pixels alone, each as far as it is "
        "the nearest.</figcaption></figure>"
        f'<figure><img class="crisp" src="{png_uri(small)}" width="{small.shape[2]}" '
        f'height="{small.shape[1]}" alt="A part of the picture with superpixel borders and kept '
        f'pixels"><figcaption>A part of {columns} × {rows} pixels: {part.samples:,} kept pixels in '
        "yellow, borders of their superpixels in white.</figcaption></figure></div>"
    )


def _painted(samples: Samples, seen: Seen, orientation: int, width: int) -> Tensor:
    """(3, h, w) display values, upright: every pixel as bright as the sample nearest to it."""
    from scipy.spatial import cKDTree  # 0.3 s to load

    size = (samples.height, samples.width)
    small = reduced_size(size, min(width, _WIDE))
    light = as_stored(seen.light, orientation).flatten(1)[:, samples.index]
    shown = srgb_encode(seen.tones(light[:, None])[:, 0].clamp(0, 1))
    kept = torch.stack([samples.index // size[1], samples.index % size[1]], 1).numpy()
    down, right = (
        (torch.arange(n) + 0.5) * (most / n) - 0.5 for n, most in zip(small, size, strict=True)
    )
    nearest = cKDTree(kept).query(torch.cartesian_prod(down, right).numpy())[1]
    return upright(shown[:, torch.from_numpy(nearest)].view(3, *small), orientation)


def error_section(error: Tensor | None, orientation: int, width: int) -> str:
    """The error map over its scale; nothing where the error is not known."""
    if error is None:
        return ""
    full = round_scale([error])
    small = functional.adaptive_avg_pool2d(
        error[None], reduced_size((*error.shape,), min(width, _WIDE))
    )
    codes = tensor_of(error_map(upright(small, orientation), torch.zeros(()), full))
    height, width = codes.shape[1:]
    return (
        '<section aria-labelledby="error-title"><h2 id="error-title">Where it errs</h2>'
        "<p>The recovered raw against the true one, in linear raw-RGB: the worst channel’s "
        "absolute error, as a share of saturation.</p>"
        f'<figure><img src="{jpeg_uri(codes)}" width="{width}" height="{height}" '
        f'alt="Error map: black where the raw is exact, white where it errs by {full:g} or more">'
        '<figcaption class="scale"><span class="ramp" aria-hidden="true"></span>'
        f"<span>0</span><span>{full / 2:g}</span><span>{full:g} or more</span></figcaption>"
        "</figure></section>"
    )

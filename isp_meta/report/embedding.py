"""What stands inside the page: pictures as data URIs, strangers' text as harmless HTML."""

from __future__ import annotations

import base64
import html
import json
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..io import encode_jpeg, to_uint8

__all__ = ["base64_text", "jpeg_uri", "json_text", "png_uri", "text"]


def base64_text(data: bytes) -> str:
    """Bytes in RFC 4648's alphabet."""
    return base64.b64encode(data).decode("ascii")


def jpeg_uri(picture: Tensor, quality: int = 90) -> str:
    """A data URI of (3, h, w) display values in [0, 1], or uint8, as JPEG."""
    data = encode_jpeg(picture, quality=quality, subsampling="4:2:0")
    return f"data:image/jpeg;base64,{base64_text(data)}"


def png_uri(picture: Tensor) -> str:
    """A data URI of (3, h, w) display values in [0, 1], or uint8, as PNG."""
    codes = picture if picture.dtype == torch.uint8 else to_uint8(picture)
    shown = Image.fromarray(np.ascontiguousarray(codes.movedim(0, -1).cpu().numpy()))
    buffer = BytesIO()
    shown.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64_text(buffer.getvalue())}"


def text(value: object) -> str:
    """Any text as content or quoted attribute of HTML; what cannot be printed becomes U+FFFD."""
    known = str(value).encode("utf-8", "replace").decode("utf-8")
    printable = "".join(
        c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else "\N{REPLACEMENT CHARACTER}"
        for c in known
    )
    return html.escape(printable, quote=True)


def json_text(value: object) -> str:
    """JSON as content of a script element, which "<" could end."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")

"""What guided fuzzing reads: inputs as short as what they say, and what must hold for any.

An input's first byte says what the rest is: a whole file, a DNG, or header and sections of a
payload, whose checksums and binding are made right before it is read; what it deflates is deflated.
"""

from __future__ import annotations

import contextlib
import struct
import zlib

import dng_files
import torch
from mutations import sealed, sections
from torch import Tensor

from isp_meta import carriers, codec
from isp_meta.errors import CarrierError, IspMetaError, PayloadCorrupt, PayloadMissing

FILE, PAYLOAD, DNG = b"F", b"P", b"D"
_DEFLATED = b"eDIT"
_HEADER = 40
_MOST_PIXELS = 1 << 16


def picture_of(packed: bytes) -> Tensor | None:
    """The pixels that a payload is read beside, of the size in its header; None if too large."""
    width, height = struct.unpack_from(">II", packed, 20)
    if not 0 < width * height <= _MOST_PIXELS:
        return None
    return torch.arange(3 * height * width).to(torch.uint8).view(3, height, width)


def as_input(packed: bytes) -> bytes:
    """A payload without what can be computed."""
    found = [
        (name, zlib.decompress(content) if name == _DEFLATED else content)
        for name, content in sections(packed)
    ]
    parts = [name + len(content).to_bytes(4, "big") + content for name, content in found]
    return PAYLOAD + packed[:_HEADER] + b"".join(parts)


def payload_of(data: bytes) -> bytes:
    """The payload of such an input; a length beyond its end takes what is there."""
    parts, place = [], _HEADER
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "big")
        parts.append((data[place : place + 4], data[place + 8 : place + 8 + length]))
        place += 8 + length
    parts = [(name, zlib.compress(c, 9) if name == _DEFLATED else c) for name, c in parts]
    header = data[:_HEADER].ljust(_HEADER, b"\0")
    pixels = picture_of(header)
    if pixels is not None:
        # What is predicted from the picture is read, too, whatever that is.
        digest = codec.Binding.of(pixels, bytes(32)).pack_digests()
        parts = [(name, digest if name == b"BIND" else content) for name, content in parts]
    return sealed(header, parts)


def read(data: bytes) -> None:
    """Raises where something does not hold."""
    if data[:1] == PAYLOAD:
        read_payload(payload_of(data[1:]))
    elif data[:1] == DNG:
        dng_files.read(data[1:])
    else:
        read_file(data[1:])


def read_payload(packed: bytes) -> None:
    pixels = picture_of(packed)
    try:
        payload = codec.decode(packed, None if pixels is None else lambda: pixels)
    except IspMetaError:
        return
    if payload.mosaic is not None and pixels is not None:
        with contextlib.suppress(PayloadCorrupt):
            payload.mosaic.codes(*pixels.shape[1:], pixels=pixels)
    if payload.enhancement is not None and pixels is not None:
        with contextlib.suppress(PayloadCorrupt):
            channels = 1 if len(payload.enhancement.basis) == 4 else 3
            raw = payload.enhancement.apply(pixels[:channels] / 255)
            assert bool(((raw >= 0) & (raw <= 1)).all())
    if payload.adaptive_filter is not None and pixels is not None:
        shown = pixels / 255
        raw = payload.adaptive_filter.apply(shown, shown, payload.adaptive_filter.cfa)
        assert bool(((raw >= 0) & (raw <= 1)).all())
    assert bool(((payload.samples.value >= 0) & (payload.samples.value <= 1)).all())
    again = codec.decode(codec.encode(payload))
    assert again.samples.value.equal(payload.samples.value)
    told, more = payload.camera.editing, again.camera.editing
    assert (told is None) == (more is None)
    assert told is None or more is None or told.tags == more.tags
    if payload.adaptive_filter is not None:
        assert again.adaptive_filter is not None
        assert again.adaptive_filter.pack() == payload.adaptive_filter.pack()
    if payload.enhancement is not None:
        assert again.enhancement is not None
        assert again.enhancement.pack() == payload.enhancement.pack()


def read_file(data: bytes) -> None:
    try:
        stripped = carriers.strip(data)
    except CarrierError:
        return
    assert carriers.strip(stripped) == stripped
    for ask in (carriers.scan_digest, carriers.extract):
        with contextlib.suppress(CarrierError, PayloadMissing, PayloadCorrupt):
            ask(data)
    try:
        carrying = carriers.insert(stripped, b"payload")
    except CarrierError:
        return
    assert carriers.extract(carrying) == b"payload"
    assert carriers.strip(carrying) == stripped

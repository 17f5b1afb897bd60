"""JPEG, PNG and TIFF files of every structure that a carrier meets."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms
from previews import MAKERS, STRANGER, iptc, with_afcp

from isp_meta.camera import Camera
from isp_meta.carriers.segments import read_segments, segment_bytes
from isp_meta.codec import Binding, Payload, encode
from isp_meta.io import encode_png
from isp_meta.samples import Samples

JpegMaker = Callable[..., bytes]


def photograph(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8: shading, edges, noise."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:height, :width]
    light = 110 + 70 * np.sin(x / 31) * np.cos(y / 17) + 40 * ((x // 24 + y // 20) % 2)
    color = light[..., None] * [0.9, 1.0, 0.7] + rng.normal(0, 4, (height, width, 3))
    return color.clip(0, 255).astype(np.uint8)


@pytest.fixture
def make_jpeg() -> JpegMaker:
    def make(height: int = 90, width: int = 120, *, gray: bool = False, **options: object) -> bytes:
        image = Image.fromarray(photograph(height, width))
        file = io.BytesIO()
        (image.convert("L") if gray else image).save(file, "JPEG", **options)
        return file.getvalue()

    return make


def after_soi(jpeg: bytes, *inserted: bytes) -> bytes:
    return jpeg[:2] + b"".join(inserted) + jpeg[2:]


def stray(jpeg: bytes, *values: bytes) -> bytes:
    """The file with bytes between its segments that decoders pass over, each kind in turn."""
    values = values or (b"\0", b"stray", b"\xff\0\xff\0", b"\xff\xff\xff", b"\0" * 300, b"\x12\xff")
    between = itertools.cycle(values)
    stored = [jpeg[s.start : s.end] + next(between) for s in read_segments(jpeg)[1:-1]]
    return jpeg[:2] + b"".join(stored) + jpeg[-2:]


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    return tags.tobytes()


def with_mpf(first: bytes, second: bytes, before: bytes = b"") -> bytes:
    """Two pictures in one file (CIPA DC-007), the second behind the first's EOI.

    Args:
        before: segments that stand before the index.
    """
    entries = 16 * 2
    head = 8 + 2 + 3 * 12 + 4
    size = 4 + len(b"MPF\x00") + head + entries
    mpf_start = 2 + len(before) + 4 + len(b"MPF\x00")
    total = len(first) + len(before) + size
    ifd = struct.pack(">H", 3)
    ifd += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    ifd += struct.pack(">HHII", 0xB001, 4, 1, 2)
    ifd += struct.pack(">HHII", 0xB002, 7, entries, head)
    ifd += struct.pack(">I", 0)
    table = struct.pack(">IIIHH", 0x20030000, total, 0, 0, 0)
    table += struct.pack(">IIIHH", 0, len(second), total - mpf_start, 0, 0)
    body = b"MPF\x00" + b"MM\x00*" + struct.pack(">I", 8) + ifd + table
    return after_soi(first, before, segment_bytes(0xE2, body)) + second


def xmp(*lines: str) -> bytes:
    """An APP1 segment with that content of rdf:Description."""
    text = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        'syntax-ns#"><rdf:Description rdf:about="" ' + "".join(lines) + "</rdf:RDF></x:xmpmeta>"
    )
    return segment_bytes(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + text.encode())


def ultra_hdr(first: bytes, gain_map: bytes) -> bytes:
    """A photograph with a gain map behind it, as Android's cameras write it (Ultra HDR 1.1)."""
    gain_map = after_soi(
        gain_map,
        xmp('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'),
    )
    container = xmp(
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><Container:Directory><rdf:Seq>',
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" '
        'Item:Mime="image/jpeg"/></rdf:li><rdf:li rdf:parseType="Resource"><Container:Item '
        f'Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="{len(gain_map)}"/></rdf:li>'
        "</rdf:Seq></Container:Directory></rdf:Description>",
    )
    return with_mpf(first, gain_map, container)


def foreign_jumbf(instance: int, content: bytes = b"", most: int = 60_000) -> bytes:
    """APP11 segments with somebody else's box: a C2PA manifest store that holds a free box."""
    label = b"c2pa\x00"
    kind = bytes.fromhex("6332706100110010800000AA00389B71")
    superbox = struct.pack(">I4s", 25 + len(label), b"jumd") + kind + b"\x03" + label
    superbox += struct.pack(">I4s", 8 + len(content), b"free") + content if content else b""
    return b"".join(
        segment_bytes(
            0xEB,
            struct.pack(">2sHII4s", b"JP", instance, number, 8 + len(superbox), b"jumb")
            + superbox[start : start + most],
        )
        for number, start in enumerate(range(0, len(superbox), most), 1)
    )


@pytest.fixture
def jpegs(make_jpeg: JpegMaker) -> dict[str, bytes]:
    """Files by what is special about them."""
    plain = make_jpeg()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        "baseline": plain,
        "4:4:4": make_jpeg(subsampling="4:4:4"),
        "4:2:0": make_jpeg(subsampling="4:2:0"),
        "progressive": make_jpeg(progressive=True),
        "gray": make_jpeg(gray=True),
        "optimized": make_jpeg(optimize=True),
        "restarts": make_jpeg(restart_marker_blocks=2),
        "exif": make_jpeg(exif=exif()),
        "exif and icc": make_jpeg(exif=exif(), icc_profile=icc),
        "comment": make_jpeg(comment=b"somebody's comment"),
        "fill bytes": plain[:2] + b"\xff\xff\xff" + plain[2:-2] + b"\xff\xff" + plain[-2:],
        "trailing bytes": plain + b"\xff\xd8 anything \xff\xeb",
        "two pictures": with_mpf(plain, make_jpeg(40, 50)),
        "other jumbf": after_soi(plain, foreign_jumbf(1), foreign_jumbf(2)),
        "ultra hdr": ultra_hdr(make_jpeg(exif=exif()), make_jpeg(30, 40, gray=True)),
        "c2pa": plain[:20] + foreign_jumbf(1, bytes(range(256)) * 600) + plain[20:],
        "preview behind": MAKERS["sony"].photograph(plain, make_jpeg(30, 40)),
        "preview unknown": STRANGER.photograph(plain, make_jpeg(30, 40)),
        "afcp": with_afcp(plain, IPTC=iptc(b"a caption"), Nail=make_jpeg(30, 40)),
        "stray bytes": stray(plain),
        "tiny": make_jpeg(1, 1),
    }


@pytest.fixture
def pngs() -> dict[str, bytes]:
    """PNG files by what is special about them."""

    def saved(image: Image.Image, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, "PNG", **options)
        return file.getvalue()

    image = Image.fromarray(photograph(60, 80))
    plain = saved(image)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames = [Image.fromarray(np.roll(photograph(40, 50), n, 0)) for n in (9, 19)]
    return {
        "rgb": plain,
        "gray": saved(image.convert("L").crop((0, 0, 20, 10))),
        "palette": saved(image.quantize(16)),
        "transparent": saved(image.convert("P"), transparency=3),
        "16 bits": encode_png(torch.rand(3, 20, 30), bits=16),
        "exif and icc": saved(image, exif=exif(), icc_profile=icc),
        "trailing bytes": plain + b"anything isPM",
        "animation": saved(
            Image.fromarray(photograph(40, 50)), save_all=True, append_images=frames, duration=50
        ),
    }


@pytest.fixture
def tiffs() -> dict[str, bytes]:
    """TIFF files by what is special about them."""
    rgb = photograph(60, 80)

    def saved(array: np.ndarray = rgb, **options: object) -> bytes:
        file = io.BytesIO()
        bigtiff, order = options.pop("bigtiff", False), options.pop("byteorder", "<")
        with tifffile.TiffWriter(file, bigtiff=bigtiff, byteorder=order) as tif:
            tif.write(array, **{"photometric": "rgb", "metadata": None, **options})
        return file.getvalue()

    pages = io.BytesIO()
    with tifffile.TiffWriter(pages) as tif:
        tif.write(rgb, photometric="rgb", metadata=None)
        tif.write(rgb[:20, :30], photometric="rgb", metadata=None)
    pillow = io.BytesIO()
    Image.fromarray(rgb).save(pillow, "TIFF", compression="jpeg", quality=90)
    odd = saved()
    return {
        "little": saved(),
        "big": saved(byteorder=">"),
        "bigtiff little": saved(bigtiff=True),
        "bigtiff big": saved(bigtiff=True, byteorder=">"),
        "tiles": saved(tile=(32, 32), compression="deflate", predictor=True),
        "strips": saved(rowsperstrip=7, compression="lzw"),
        "16 bits": saved(rgb.astype(np.uint16) * 257),
        "gray": saved(rgb[..., 0], photometric="minisblack"),
        "planar": saved(np.ascontiguousarray(rgb.transpose(2, 0, 1)), planarconfig="separate"),
        "two pages": pages.getvalue(),
        "jpeg inside": pillow.getvalue(),
        "odd length": odd + b"?" * (1 + len(odd) % 2),
    }


@pytest.fixture
def payload() -> bytes:
    """A genuine payload, small enough to try every byte."""
    index = torch.arange(0, 90 * 120, 211)
    value = (index[:, None] * torch.tensor([3, 5, 7]) % 1000) / 1000
    binding = Binding.of(torch.zeros((3, 90, 120), dtype=torch.uint8), b"s" * 32)
    return encode(Payload(Samples(index, value, 90, 120), Camera(), binding))


@pytest.fixture
def long_payload() -> bytes:
    """Several segments of bytes that look like a payload to nobody but the carrier."""
    return np.random.default_rng(3).bytes(300_000)

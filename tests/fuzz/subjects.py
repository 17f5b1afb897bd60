"""Small files with every way of coding a payload, in every place that holds one."""

from __future__ import annotations

import dataclasses
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from isp_meta import Camera, CaptureOptions, Frame, carriers, codec, embed, io
from isp_meta.capture.residual import enhance
from isp_meta.carriers.segments import read_segments, segment_bytes
from isp_meta.decoder import Guide
from isp_meta.networks.shipped import FEATURES
from isp_meta.samplers import RandomSampler, UniformSampler
from isp_meta.samples import LocalRBFModel, ParametricModel, Samples

HEIGHT, WIDTH = 24, 40
CONTAINERS = (("a.jpg", "app11"), ("a.jpg", "com"), ("a.png", None), ("a.tif", None))


@dataclass(frozen=True, eq=False)
class Subject:
    """A file that carries its raw, and what must come out of it.

    Attributes:
        name: of the coding and the place.
        file: name that its bytes call for.
        place: of its carrier, or "sidecar".
        data: the file, of a sidecar the payload.
        plain: the picture without a payload.
        packed: the payload.
        pixels: (3, H, W) uint8, of the picture.
        codes: (1, H, W) float32, the mosaic it was rendered from.
    """

    name: str
    file: str
    place: str | None
    data: bytes
    plain: bytes
    packed: bytes
    pixels: Tensor
    codes: Tensor

    def carrying(self, packed: bytes) -> bytes:
        """The file with another payload."""
        if self.place == "sidecar":
            return packed
        return carriers.insert(self.plain, packed, place=self.place)


def photograph() -> Frame:
    """A mosaic of 12 bits: shading, an edge, noise."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    light = 0.4 + 0.25 * torch.sin(x / 9) * torch.cos(y / 7) + 0.2 * (x > y)
    light = light + 0.004 * torch.randn((1, HEIGHT, WIDTH), generator=generator)
    camera = Camera(
        make="Maker",
        model="Model",
        black_level=(64.0,) * 4,
        white_level=4095.0,
        as_shot_neutral=(0.5, 1.0, 0.625),
        exif={"Exif.Photo.ExposureTime": "1/250"},
    )
    return Frame(camera=camera, codes=(64 + light.clamp(0, 1) * 4031).round())


def subjects() -> list[Subject]:
    """All of them; the same on every call."""
    frame = photograph()
    with tempfile.TemporaryDirectory() as folder:
        return list(_subjects(frame, Path(folder)))


def _subjects(frame: Frame, folder: Path) -> Iterator[Subject]:
    for number, (file, place) in enumerate(CONTAINERS):
        made = embed(
            frame,
            folder / f"{number}{file}",
            CaptureOptions(carrier=place, effort=1, values="measured"),
            sampler=UniformSampler(4),
        )
        plain = carriers.strip(made.path.read_bytes())
        pixels = io.eight_bits(io.decode_image(plain, file, deep=True))
        payload = codec.decode(carriers.extract(made.path.read_bytes()))
        for name, packed in _payloads(payload, frame, made.frame, pixels):
            whole = carriers.insert(plain, packed, place=place)
            assert frame.codes is not None
            kept = (plain, packed, pixels, frame.codes)
            yield Subject(f"{name} in {place or file}", file, place, whole, *kept)
            if number == 0:
                yield Subject(f"{name} beside {file}", file, "sidecar", packed, *kept)
            if number == 0 and name in ("range", "guided mosaic"):
                full = crowded(plain)
                whole = carriers.insert(full, packed)
                assert carriers.strip(whole) == full
                kept = (full, packed, pixels, frame.codes)
                yield Subject(f"{name} among others in {file}", file, place, whole, *kept)


def crowded(jpeg: bytes) -> bytes:
    """The file with all that an insertion must respect: stray bytes, a preview, AFCP."""
    preview = io.encode_jpeg(torch.full((3, 8, 8), 0.5), quality=50)
    maker_note = struct.pack(">H2HI2I", 1, 0x88, 4, 1, 0, 0)  # an IFD: where the preview starts
    tiff = b"MM\0*" + struct.pack(">IH2H2II", 8, 1, 0x8769, 4, 1, 26, 0)
    tiff += struct.pack(">H2H2II", 1, 0x927C, 7, len(maker_note), 44, 0) + maker_note
    head = jpeg[:2] + segment_bytes(0xE1, b"Exif\0\0" + tiff)
    stray = b"stray".join(jpeg[s.start : s.end] for s in read_segments(jpeg)[2:])
    start = len(head) + len(stray)
    head = head[:-8] + struct.pack(">II", start - 12, 0)
    afcp = start + len(preview)
    table = struct.pack(">4s2sHI4sII", b"AXS!", b"01", 1, 0, b"IPTC", 4, afcp + 24) + b"text"
    return head + stray + preview + table + struct.pack(">4sII", b"AXS!", afcp, 0)


def _payloads(
    payload: codec.Payload, frame: Frame, rendered: Frame, pixels: Tensor
) -> Iterator[tuple[str, bytes]]:
    """A name and the bytes of each kind of payload."""
    assert frame.codes is not None
    modeled = payload.samples
    assert modeled.model is not None
    scattered = RandomSampler(fraction=0.05)(rendered)
    samples = dataclasses.replace(modeled, model=None)
    bare = dataclasses.replace(payload, samples=samples, enhancement=None)
    guide = Guide(rendered.require("srgb", "fuzz"))

    def of(kept: Samples, coding: codec.Coding = "range", **changes: object) -> bytes:
        made = dataclasses.replace(bare, samples=kept, **changes)
        return codec.encode(made, coding=coding, pixels=pixels)

    def enhanced(kept: Samples, **changes: object) -> bytes:
        known = dataclasses.replace(bare, samples=kept, **changes).rounded()
        # Beside so many bytes a filter's count for nothing.
        raw, used = rendered.require("raw", "fuzz"), 10**7
        mended, found = enhance(known, used, raw, guide, 1 / 64)
        return of(kept, adaptive_filter=mended, enhancement=found, **changes)

    alone = codec.Mosaic.of(frame.codes, frame.camera.cfa)
    guided = codec.Mosaic.of(frame.codes, frame.camera.cfa, pixels=pixels)
    controls = dataclasses.replace(modeled, model=_with_network(modeled.model), control=True)
    yield "range", of(samples)
    yield "scattered", of(scattered)
    yield "packed", of(samples, "packed")
    yield "scattered, packed", of(scattered, "packed")
    yield "predicted", of(samples, "predicted")
    yield "even steps", of(samples, steps=codec.Steps.linear(12))
    yield "lRBF", of(modeled)
    yield "CTRL", of(dataclasses.replace(modeled, control=True))
    yield "pARA", of(samples, parametric=_formula())
    yield "guided mosaic", of(samples, mosaic=guided)
    yield "mosaic alone", of(samples, mosaic=alone)
    yield "eNHA", enhanced(samples)
    yield "eNHA, lRBF", enhanced(modeled)
    yield "eNHA, CTRL, network", enhanced(controls)
    yield "eNHA, guided mosaic", enhanced(modeled, mosaic=guided)
    yield "eNHA, mosaic alone", enhanced(samples, mosaic=alone)
    depth = codec.Depth(12, 8)
    missing = dataclasses.replace(samples, value=missing_bits(samples, depth))
    yield "DPTH", of(missing, steps=depth.steps, depth=depth)


def missing_bits(samples: Samples, depth: codec.Depth) -> Tensor:
    """(N, 3) what a picture of few bits lacks, as parts of the most: of any pattern."""
    most = (1 << depth.taken) - 1
    return (samples.index[:, None] * 7 + torch.arange(3)).remainder(most + 1) / most


def _with_network(model: LocalRBFModel) -> LocalRBFModel:
    """A model that asks for everything a model can."""
    generator = torch.Generator().manual_seed(2)
    return dataclasses.replace(
        model,
        centers=torch.rand((9, 3), generator=generator),
        gains=torch.randn((9, 3), generator=generator) / 50,
        weights=torch.randn((3, 49), generator=generator) / 100,
        network=FEATURES,
    )


def _formula() -> ParametricModel:
    generator = torch.Generator().manual_seed(1)
    return ParametricModel(
        gains=torch.tensor([2.0, 1.0, 1.6]),
        matrix=torch.eye(3),
        curves=torch.linspace(0, 1, ParametricModel.KNOTS).square().repeat(3, 1),
        points=torch.rand((5, 3), generator=generator),
        weights=torch.rand((5, 3), generator=generator) / 100,
        radius=0.5,
    )

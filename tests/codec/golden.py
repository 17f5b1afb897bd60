"""What the golden files in tests/data hold, by formulas that need no random numbers.

    python tests/codec/golden.py     # writes those that are missing; one that is there stays

They are never made anew: what a version wrote once must be read for ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from isp_meta import _payload
from isp_meta.camera import XTRANS, Camera, EditorTag, EditorTags
from isp_meta.codec import Binding, Coding, Depth, Enhancement, Mosaic, Payload, Steps, encode
from isp_meta.samples import LocalRBFModel, ParametricModel, Samples

FOLDER = Path(__file__).parents[1] / "data"
FINE = Steps(320, 16)
SHADE = torch.arange(70).view(-1, 1) + 2 * torch.arange(90)
PIXELS = torch.stack([SHADE, SHADE // 2, 255 - SHADE]).to(torch.uint8)
HEIGHT, WIDTH = SHADE.shape


def index() -> Tensor:
    pixel = torch.arange(HEIGHT * WIDTH)
    y, x = pixel // WIDTH, pixel % WIDTH
    return pixel[(7 * y + 3 * x + x * y) % 61 < 1]


def samples() -> Samples:
    y, x = index() // WIDTH, index() % WIDTH
    codes = torch.stack([(y * 150 + x * 20) % 16384, y * 100 + x * x, 9000 + y * x % 500], dim=1)
    return Samples(index(), (codes.double() / 16383).float(), HEIGHT, WIDTH, 8)


def golden(steps: Steps = FINE) -> Payload:
    camera = Camera(
        make="Maker",
        model="Modell Ä 1",
        cfa="BGGR",
        black_level=(64.0, 64.25, 63.5, 64.0),
        white_level=16383.0,
        as_shot_neutral=(0.1, 1.0, 0.7),
        color_matrix=(0.7, -0.1, 0.0, -0.5, 1.3, 0.2, -0.0, 0.25, 0.6),
        illuminant=17,
        orientation=6,
        crop=(12, 34),
        exif={"Exif.Photo.ExposureTime": "1/250", "Exif.Image.Artist": "名前"},
    )
    binding = Binding.of(PIXELS, bytes(range(32)))
    return Payload(samples(), camera, binding, steps, demosaic="bilinear", sampler="superpixel")


def codes(step: int = 1) -> Tensor:
    """(1, H, W) of a BGGR sensor: what the picture's pixels are of, and a little that they lack."""
    y, x = torch.arange(HEIGHT).view(-1, 1), torch.arange(WIDTH)
    color = (2 - y % 2 - x % 2).expand(HEIGHT, WIDTH)
    seen = PIXELS.long().gather(0, color[None])
    return (64 + seen * seen // 16 + (7 * y + 13 * x + x * y) % 23).float() // step * step


def local_rbf(features: int, network: str = "") -> LocalRBFModel:
    weights = torch.arange(3 * features).view(3, features) % 7 - 3
    return LocalRBFModel(
        kernel="exponential" if network else "rational",
        position_scale=40.5,
        color_scale=0.25,
        ridge=0.03125,
        neighbors=24,
        cubic=(torch.arange(60).view(3, 20) % 11 - 4).float() / 32,
        centers=torch.tensor([[10, 20, 30], [200, 100, 0], [255, 255, 255]]).float() / 255,
        gains=(torch.arange(9).view(3, 3) * 300 - 1200).float() / 4096,
        weights=weights.float() / 256,
        network=network,
    )


def formula() -> ParametricModel:
    knots = torch.arange(256).double()
    return ParametricModel(
        gains=torch.tensor([2.0, 1.0, 1.5]),
        matrix=torch.tensor([[0.75, 0.25, 0.0], [0.125, 0.875, 0.0], [-0.0625, 0.0, 1.0]]),
        curves=(knots.square() / 65025).float().repeat(3, 1),
        points=(torch.arange(15).view(5, 3) * 4369).float() / 65535,
        weights=(torch.arange(15).view(5, 3) - 7).float() / 512,
        radius=0.5,
    )


def enhancement(channels: int = 1) -> Enhancement:
    """Levels of every size, most of them at low frequencies, many blocks without any.

    Args:
        channels: of what it corrects: 1, a mosaic, or 3.
    """
    side, coded = (16, 4) if channels == 1 else (8, 3)
    rows, columns = -(-HEIGHT // side), -(-WIDTH // side)
    block, place = np.arange(rows * columns * coded).reshape(rows, columns, coded, 1), np.arange(64)
    level = (block * 7 + place * 5) % 23 - 11
    level = np.where((block % 11 < 3) & (place % 8 + place // 8 < block % 7), level, 0)
    level[2, 3, 0, :5] = [32767, -32767, 300, -41, 9]
    data = _payload.encode_enhancement(level.astype(np.int16), 1)
    mixing = [[9459, 11585, 6689], [9459, -11585, 6689], [9459, 0, -13377]]
    if coded == 4:
        mixing = [[8192, 8192, 11585, 0], [8192, -8192, 0, 11585]]
        mixing += [[8192, -8192, 0, -11585], [8192, 8192, -11585, 0]]
    return Enhancement(90, 6, torch.tensor(mixing) / 2**14, (-6, 14), data, 11)


def editing() -> EditorTags:
    """Text, fractions, floats, whole numbers, and an opcode list with an odd number of bytes."""
    tags = {
        50708: EditorTag(2, b"Maker Modell 1\0"),
        50719: EditorTag.of(4, [3, 1]),
        50721: EditorTag.of(10, [7, 10, -1, 10, 0, 1, -1, 2, 13, 10, 1, 5, 0, 1, 1, 4, 3, 5]),
        50778: EditorTag.of(3, [17]),
        51009: EditorTag(7, bytes(range(1, 200, 2)) * 9 + b"end"),
        51041: EditorTag.of(12, [0.25, 0.0009765625]),
        51109: EditorTag.of(11, [-0.5]),
    }
    return EditorTags((HEIGHT, WIDTH), tags)


def missing_bits() -> Payload:
    """The lower half of each color's 8 bits, for a picture that lost it."""
    depth = Depth(8, 4, "guided", "bit-depth-1")
    kept = PIXELS.long().view(3, -1)[:, index()].T % 16
    few = dataclasses.replace(samples(), value=kept.float() / 15)
    whole = golden()
    return Payload(few, Camera(), whole.binding, depth.steps, sampler="uniform", depth=depth)


def files() -> Iterator[tuple[str, Coding, Payload]]:
    """Name of each file without its ending, coding, and what it holds."""
    whole = golden()
    yield "payload-v1-range", "range", whole
    yield "payload-v1-packed", "packed", whole
    yield "payload-v1-even", "range", golden(Steps.linear(14))
    yield "payload-v1-predicted", "predicted", whole
    yield "payload-v1-depth", "range", missing_bits()
    yield "payload-v1-parametric", "range", dataclasses.replace(whole, parametric=formula())

    def modeled(model: LocalRBFModel, control: bool) -> Payload:
        kept = dataclasses.replace(whole.samples, model=model, control=control)
        return dataclasses.replace(whole, samples=kept)

    yield "payload-v1-local-rbf", "range", modeled(local_rbf(33), False)
    yield "payload-v1-control", "range", modeled(local_rbf(49, "features-1"), True)
    yield "payload-v1-enhanced", "range", dataclasses.replace(whole, enhancement=enhancement())
    linear = whole.camera.replace(cfa="RGB", black_level=(60.0, 61.0, 62.0))
    corrected = dataclasses.replace(whole, camera=linear, enhancement=enhancement(3))
    yield "payload-v1-enhanced-linear", "range", corrected
    told = whole.camera.replace(editing=editing())
    yield "payload-v1-editing", "range", dataclasses.replace(whole, camera=told)
    alone = Mosaic.of(codes(), "BGGR")
    yield "payload-v1-mosaic", "range", dataclasses.replace(whole, mosaic=alone)
    guided = Mosaic.of(codes(3), "BGGR", pixels=PIXELS)
    yield "payload-v1-mosaic-guided", "range", dataclasses.replace(whole, mosaic=guided)
    for name, cfa in (("xtrans", XTRANS), ("monochrome", "W"), ("linear", "RGB")):
        levels = tuple(60.0 + place / 8 for place in range(len(cfa)))
        camera = whole.camera.replace(cfa=cfa, black_level=levels)
        seen = torch.cat([codes() + 7 * color for color in range(camera.channels)])
        mosaic = Mosaic.of(seen, cfa, pixels=PIXELS)
        yield (
            f"payload-v1-{name}",
            "range",
            dataclasses.replace(whole, camera=camera, mosaic=mosaic),
        )


def main() -> None:
    for name, coding, payload in files():
        path = FOLDER / f"{name}.ispmeta"
        if not path.exists():
            path.write_bytes(encode(payload, coding=coding, pixels=PIXELS))
            print(path)


if __name__ == "__main__":
    main()

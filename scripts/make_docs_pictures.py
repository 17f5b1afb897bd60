"""Makes the pictures of docs/gallery.md; takes some minutes.

    python scripts/make_docs_pictures.py hero6.dng fusion_back.dng docs/images

Both raw files are samples of gopro/gpr, Apache-2.0 or MIT.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from isp_meta import Frame, Pipeline, presets, read_raw
from isp_meta.evaluation import contact_sheet, stage_pictures, upright
from isp_meta.io import write_atomic
from isp_meta.stages import Demosaic, MosaicNoiseReduction, WhiteBalance

LARGEST = 250_000
SIDE = 384
RANDOM_CAMERAS = 3

Labeled = list[tuple[str, Tensor]]


def write(path: Path, pictures: Labeled, columns: int, width: int | None = None) -> None:
    """A sheet of the best quality that fits into LARGEST bytes."""
    sheet = contact_sheet(pictures, columns, width)
    for quality in range(92, 50, -4):
        buffer = BytesIO()
        sheet.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= LARGEST:
            break
    write_atomic(path, buffer.getvalue(), overwrite=True)
    print(f"{path}: {sheet.width}x{sheet.height}, quality {quality}, {buffer.tell():,} bytes")


def without(pipeline: Pipeline, name: str) -> Pipeline:
    """The pipeline, one stage left out."""
    place = pipeline.position(name)
    return Pipeline([*pipeline[:place], *pipeline[place + 1 :]])


def whole(pipeline: Pipeline, frame: Frame) -> Tensor:
    """The finished picture, small."""
    return stage_pictures(Pipeline([pipeline]), frame, SIDE)[-1][1]


def crop(pipeline: Pipeline, frame: Frame, top: int, left: int, zoom: int = 1) -> Tensor:
    """A part of the finished picture, ``top`` and ``left`` as the sensor counts its pixels."""
    size = SIDE // zoom
    srgb = pipeline(frame, keep=("srgb",)).srgb
    part = upright(srgb[:, top : top + size, left : left + size], frame.camera.orientation)
    return part.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)


def rendered_by_presets(frame: Frame) -> Labeled:
    pictures = [
        (f"presets.{name}()", whole(getattr(presets, name)(), frame))
        for name in ("minimal", "karaimer_brown", "camera")
    ]
    for seed in range(1, RANDOM_CAMERAS + 1):
        generator = torch.Generator().manual_seed(seed)
        pictures.append((f"presets.random(), seed {seed}", whole(presets.random(generator), frame)))
    return pictures


def demosaiced(frame: Frame) -> Labeled:
    return [
        (
            f'Demosaic("{name}"), 2x',
            crop(presets.minimal().replace("Demosaic", Demosaic(name)), frame, 1270, 1640, zoom=2),
        )
        for name in ("bilinear", "malvar", "menon")
    ]


def less_noise(frame: Frame) -> Labeled:
    camera = presets.camera()
    noisy = without(camera, "NoiseReduction")
    place = camera.position("Demosaic")
    of_mosaic = Pipeline([*noisy[:place], MosaicNoiseReduction(), *noisy[place:]])
    labeled = {
        "without noise reduction": noisy,
        "NoiseReduction()": camera,
        "MosaicNoiseReduction() in its place": of_mosaic,
    }
    return [(label, crop(made, frame, 1480, 420)) for label, made in labeled.items()]


def local_tones(frames: list[Frame]) -> Labeled:
    camera = presets.camera()
    return [
        (label, whole(made, frame))
        for frame in frames
        for label, made in (
            ("without local tone mapping", without(camera, "LocalToneMapping")),
            ("LocalToneMapping()", camera),
        )
    ]


def highlights(frame: Frame) -> Labeled:
    camera = presets.camera()
    clipped = without(camera, "HighlightReconstruction").replace("WhiteBalance", WhiteBalance())
    labeled = {"clipped by white balance": clipped, "HighlightReconstruction()": camera}
    return [(label, crop(made, frame, 60, 1900)) for label, made in labeled.items()]


def sharpened(frame: Frame) -> Labeled:
    camera = presets.camera()
    labeled = {"without sharpening": without(camera, "Sharpening"), "Sharpening()": camera}
    return [(label, crop(made, frame, 1000, 1500)) for label, made in labeled.items()]


@torch.no_grad()
def main() -> None:
    """Reads the raw files, writes the pictures."""
    parser = argparse.ArgumentParser(description="Makes the pictures of docs/gallery.md.")
    parser.add_argument("hero6", type=Path)
    parser.add_argument("fusion_back", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()

    hero6, fusion = read_raw(arguments.hero6), read_raw(arguments.fusion_back)
    folder = arguments.folder
    write(folder / "stages.jpg", stage_pictures(presets.camera(), hero6, SIDE), 4, 1200)
    write(folder / "presets.jpg", rendered_by_presets(hero6), 3)
    write(folder / "demosaic.jpg", demosaiced(hero6), 3)
    write(folder / "noise-reduction.jpg", less_noise(hero6), 3)
    write(folder / "local-tone.jpg", local_tones([hero6, fusion]), 2)
    write(folder / "highlights-rebuilt.jpg", highlights(hero6), 2)
    write(folder / "sharpening.jpg", sharpened(hero6), 2)


if __name__ == "__main__":
    main()

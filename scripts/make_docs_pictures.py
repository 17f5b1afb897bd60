"""Makes the pictures of docs/gallery.md; takes some minutes.

    python scripts/make_docs_pictures.py hero6.dng fusion_back.dng docs/images

Both raw files are samples of gopro/gpr, Apache-2.0 or MIT.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from isp_meta import Frame, Pipeline, presets, read_raw
from isp_meta.io import write_atomic
from isp_meta.pictures import contact_sheet, stage_pictures
from isp_meta.registration import upright
from isp_meta.stages import Demosaic, Exposure, MosaicNoiseReduction, WhiteBalance
from isp_meta.stages.demosaic import DemosaicMethod

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


def of_presets(frame: Frame) -> Labeled:
    """The picture under each preset and some random ones."""
    made = {
        f"presets.{name}()": getattr(presets, name)()
        for name in ("minimal", "karaimer_brown", "camera")
    }
    for seed in range(1, RANDOM_CAMERAS + 1):
        generator = torch.Generator().manual_seed(seed)
        made[f"presets.random(), seed {seed}"] = presets.random(generator)
    return [(label, whole(pipeline, frame)) for label, pipeline in made.items()]


def of_demosaic(frame: Frame) -> Labeled:
    """Fine lines by each method, enlarged."""
    made = {
        f'Demosaic("{method}")': presets.minimal().replace("Demosaic", Demosaic(method))
        for method in get_args(DemosaicMethod)
    }
    return [(label, crop(pipeline, frame, 1270, 1640, 3)) for label, pipeline in made.items()]


def of_noise_reduction(frame: Frame) -> Labeled:
    """A shadow that local tone mapping opens."""
    camera = presets.camera()
    noisy = without(camera, "NoiseReduction")
    place = camera.position("Demosaic")
    made = {
        "no noise reduction": noisy,
        "NoiseReduction": camera,
        "MosaicNoiseReduction": Pipeline([*noisy[:place], MosaicNoiseReduction(), *noisy[place:]]),
    }
    return [(label, crop(pipeline, frame, 1480, 420)) for label, pipeline in made.items()]


def of_local_tone_mapping(*frames: Frame) -> Labeled:
    """Whole pictures without and with it."""
    camera = presets.camera()
    made = {
        "no local tone mapping": without(camera, "LocalToneMapping"),
        "LocalToneMapping": camera,
    }
    return [(label, whole(made[label], frame)) for frame in frames for label in made]


def of_highlights(frame: Frame) -> Labeled:
    """A bright sky, two stops darker, so that what lies beyond white shows."""
    darker = presets.camera().replace("Exposure", Exposure(-2, clip=False))
    clipped = without(darker, "HighlightReconstruction").replace("WhiteBalance", WhiteBalance())
    made = {
        "clipped by white balance, -2 stops": clipped,
        "HighlightReconstruction, -2 stops": darker,
    }
    return [(label, crop(pipeline, frame, 60, 1900)) for label, pipeline in made.items()]


def of_sharpening(frame: Frame) -> Labeled:
    """Edges without and with it, enlarged."""
    camera = presets.camera()
    made = {"no sharpening": without(camera, "Sharpening"), "Sharpening": camera}
    return [(label, crop(pipeline, frame, 1100, 1560, 2)) for label, pipeline in made.items()]


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
    write(folder / "stages.jpg", stage_pictures(presets.camera(), hero6, SIDE), 4, 1080)
    write(folder / "presets.jpg", of_presets(hero6), 3)
    write(folder / "demosaic.jpg", of_demosaic(hero6), 3)
    write(folder / "noise-reduction.jpg", of_noise_reduction(hero6), 3)
    write(folder / "local-tone.jpg", of_local_tone_mapping(hero6, fusion), 2)
    write(folder / "reconstruction.jpg", of_highlights(hero6), 2)
    write(folder / "sharpening.jpg", of_sharpening(hero6), 2)


if __name__ == "__main__":
    main()

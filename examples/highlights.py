"""Why raw matters, in one picture: python examples/highlights.py [PICTURE]

Darkens the sample by two stops, once the JPEG and once the raw that was recovered from it. The
result, by default demo-output/highlights.jpg, is the picture of the README.
"""

import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import isp_meta
from isp_meta import Pipeline
from isp_meta.data import sample_path
from isp_meta.pictures import sample_overlay
from isp_meta.stages import (
    ColorMatrix,
    Exposure,
    Gamma,
    ToneCurve,
    WhiteBalance,
    srgb_decode,
    srgb_encode,
)

STOPS = -2
SIZE = (512, 384)


def panel(picture: Tensor | Image.Image, text: str) -> Image.Image:
    """A picture of SIZE with a line of text in its lower left corner."""
    if isinstance(picture, Tensor):
        pixels = picture.clamp(0, 1).mul(255).round().to(torch.uint8)
        picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    picture = picture.resize(SIZE, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=18)
    place = (10, SIZE[1] - 30)
    left, top, right, bottom = draw.textbbox(place, text, font=font)
    draw.rectangle((left - 6, top - 5, right + 6, bottom + 5), fill="black")
    draw.text(place, text, fill="white", font=font)
    return picture


with tempfile.TemporaryDirectory() as folder:
    jpeg = Path(folder, "photo.jpg")
    isp_meta.embed(sample_path(), jpeg)
    frame = isp_meta.recover(jpeg)

develop = Pipeline([WhiteBalance(), Exposure(STOPS), ColorMatrix(), ToneCurve.filmic(), Gamma()])
kept = sample_overlay(frame.srgb, frame.samples, zoom=4).crop((2816, 1536, 3328, 1920))
panels = [
    panel(frame.srgb, "the JPEG"),
    panel(kept, "a part of it: the pixels whose raw it carries"),
    panel(srgb_encode(srgb_decode(frame.srgb) * 2.0**STOPS), "the JPEG, two stops darker"),
    panel(develop(frame).srgb, "the raw recovered from it, two stops darker"),
]
sheet = Image.new("RGB", (2 * SIZE[0] + 8, 2 * SIZE[1] + 8), "white")
for number, part in enumerate(panels):
    sheet.paste(part, (number % 2 * (SIZE[0] + 8), number // 2 * (SIZE[1] + 8)))
path = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output/highlights.jpg")
path.parent.mkdir(exist_ok=True)
sheet.save(path, quality=88)
print(path)

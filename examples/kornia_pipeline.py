"""Our stages beside kornia's augmentations in one module: python examples/kornia_pipeline.py

Flips and cuts raw, renders it, jitters the picture as kornia does, and learns the tone curve of
another camera through all of it. Writes demo-output/kornia_pipeline.jpg: a batch of raw, encoded
for display, above the pictures that came of it.
"""

from pathlib import Path

import kornia.augmentation as augmentation
import torch
from kornia.metrics import psnr
from torch import nn

from isp_meta import Pipeline, presets, read_raw
from isp_meta.data import sample_path
from isp_meta.export import TensorPipeline
from isp_meta.io import encode_jpeg
from isp_meta.stages import ColorMatrix, Gamma, ToneCurve, WhiteBalance, srgb_encode

torch.manual_seed(0)
frame = presets.minimal()(read_raw(sample_path()))
batch = frame.raw.expand(4, -1, -1, -1)  # (B, 3, H, W), linear, camera color

# From here on a camera is a module from tensor to tensor, and stands wherever one may.
render = TensorPipeline(
    Pipeline([WhiteBalance(), ColorMatrix(), ToneCurve.filmic(), Gamma()]),
    frame.camera,
    takes="raw",
)
cut = nn.Sequential(
    augmentation.RandomHorizontalFlip(p=0.5),
    augmentation.RandomCrop((192, 192)),
)
training = nn.Sequential(
    render,
    augmentation.RandomGaussianNoise(std=0.01, p=1.0),
    augmentation.RandomBrightness((0.9, 1.1), p=1.0),
)
raw = cut(batch)
shown = torch.cat([srgb_encode(raw), training(raw).clamp(0, 1)], 2)

# Gradients reach the stages: another camera's tones are learned from pairs of raw and picture.
other = TensorPipeline(
    render.pipeline.replace("ToneCurve", ToneCurve.filmic(3.0)), frame.camera, takes="raw"
)
target = other(raw).detach()
learned = render.pipeline.learn("ToneCurve.knots")
student = TensorPipeline(learned, frame.camera, takes="raw")
optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
print(f"before: {psnr(student(raw), target, 1.0):.2f} dB")
for _ in range(60):
    optimizer.zero_grad()
    (student(raw) - target).square().mean().backward()
    optimizer.step()
    student.pipeline.project()
print(f"after: {psnr(student(raw), target, 1.0):.2f} dB")

path = Path("demo-output/kornia_pipeline.jpg")
path.parent.mkdir(exist_ok=True)
path.write_bytes(encode_jpeg(torch.cat(list(shown), 2)))
print(path)

"""Superpixels by two operators in turn, then by gradient descent: python examples/superpixels.py

Writes demo-output/superpixels.png: a part of the sample, and the same painted with one color a
superpixel.
"""

from pathlib import Path

import torch
from PIL import Image

from isp_meta import ops, presets, read_raw
from isp_meta.data import sample_path

CELL = 16

frame = presets.minimal()(read_raw(sample_path()))
picture = frame.srgb[None, :, 256:640, 512:896].contiguous()  # (1, 3, H, W)
height, width = picture.shape[2:]

# Color, and position so that superpixels stay compact: 0.4 of a channel's range a cell.
rows = torch.arange(height).float().view(1, 1, -1, 1).expand(1, 1, height, width)
columns = torch.arange(width).float().view(1, 1, 1, -1).expand(1, 1, height, width)
features = torch.cat([picture, rows * 0.4 / CELL, columns * 0.4 / CELL], 1)

# Soft SLIC: pixels choose among the nine cells around them, cells take the mean of their pixels.
association = torch.zeros(1, 9, height, width)
association[:, 4] = 1.0
for _ in range(5):
    centers = ops.aggregate(features, association, CELL)
    association = ops.associate_features(features, centers, CELL, scale=60.0)
painted = ops.distribute(ops.aggregate(picture, association, CELL), association, CELL)
mask = ops.sample_mask(association, CELL)
error = (painted - picture).square().mean()
print(f"soft SLIC: {int(mask.sum())} pixels would be kept, mean squared error {error:.5f}")

# The same operators pass gradients: free logits learn to explain the picture.
logits = (association + 1e-3).log().requires_grad_()
optimizer = torch.optim.Adam([logits], lr=0.3)
for step in range(21):
    q = ops.associate(logits, CELL)
    loss = (ops.distribute(ops.aggregate(picture, q, CELL), q, CELL) - picture).square().mean()
    if step % 10 == 0:
        print(f"gradient descent, step {step:2}: mean squared error {loss.item():.5f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

shown = torch.cat([picture, painted], 3)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
path = Path("demo-output/superpixels.png")
path.parent.mkdir(exist_ok=True)
Image.fromarray(shown.permute(1, 2, 0).numpy()).save(path)
print(path)

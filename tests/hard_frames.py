"""Frames on which an interpolation may stumble."""

import torch
from smooth_scenes import cubic, smooth

from isp_meta.frame import Frame
from isp_meta.samples import Samples


def _case(height, width, step, content="smooth", dtype=torch.float32, strides="plain"):
    srgb = smooth(height, width)
    if content in ("black", "white", "gray"):
        srgb = torch.full_like(srgb, {"black": 0.0, "white": 1.0, "gray": 0.4}[content])
    raw = cubic(srgb) if content in ("smooth", "gray") else srgb
    if content == "burnt":
        srgb, raw = torch.ones_like(srgb), smooth(height, width, seed=1)
    if strides == "transposed":
        srgb = srgb.mT.contiguous().mT
    elif strides == "channels last":
        srgb = srgb.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    samples = Samples.at(torch.arange(0, height * width, step), raw)
    return Frame(srgb=srgb.to(dtype), samples=samples)


def _clustered():
    """A dense corner and one pixel far away: most blocks lie far from all they know."""
    srgb = smooth(48, 64)
    corner = torch.arange(12)[:, None] * 64 + torch.arange(12)
    index = torch.cat([corner.flatten(), torch.tensor([48 * 64 - 1])])
    return Frame(srgb=srgb, samples=Samples.at(index, cubic(srgb)))


CASES = {
    "one pixel": _case(1, 1, 1),
    "one row": _case(1, 23, 3),
    "one column": _case(23, 1, 3),
    "one sample": _case(9, 14, 1000),
    "two samples": _case(9, 14, 100),
    "fewer than neighbors": _case(13, 29, 40),
    "ragged": _case(13, 29, 7),
    "every pixel": _case(9, 14, 1),
    "all black": _case(17, 18, 9, "black"),
    "all white": _case(17, 18, 9, "white"),
    "all gray": _case(17, 18, 9, "gray"),
    "burnt over a textured raw": _case(17, 18, 9, "burnt"),
    "float64": _case(13, 29, 7, dtype=torch.float64),
    "transposed": _case(13, 29, 7, strides="transposed"),
    "channels last": _case(13, 29, 7, strides="channels last"),
    "clustered": _clustered(),
}

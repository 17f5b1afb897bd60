"""Pictures with a raw that is known."""

import torch
from torch.nn import functional


def smooth(height, width, seed=0):
    """(3, H, W) blobs over [0.05, 0.95]."""
    noise = torch.rand(3, height + 18, width + 18, generator=torch.Generator().manual_seed(seed))
    blobs = functional.avg_pool2d(noise[None], 19, stride=1)[0]
    low, high = blobs.amin((1, 2), keepdim=True), blobs.amax((1, 2), keepdim=True)
    return 0.05 + 0.9 * (blobs - low) / (high - low).clamp(min=1e-6)


def cubic(srgb):
    """A global cubic of sRGB, different in each channel, within [0, 1]."""
    red, green, blue = srgb
    return torch.stack(
        [
            0.05 + 0.6 * red**3 + 0.1 * red * green,
            0.02 + 0.5 * green**2 + 0.2 * red * green * blue,
            0.3 * blue + 0.2 * red * blue**2 + 0.1 * green,
        ]
    )

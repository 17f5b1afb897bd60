"""Checkpoints as the published code of Nam et al. leaves them, made without our network."""

import torch

# The names and shapes of best_reconstructor.pt, width w: (block, channels in, channels out) over w,
# where None stands for the picture's own channels.
BLOCKS = [
    ("encoder1.enc1", None, 1),
    ("encoder2.enc2", 1, 2),
    ("encoder3.enc3", 2, 4),
    ("encoder4.enc4", 4, 8),
    ("bottleneck.bottleneck", 8, 16),
    ("decoder4.dec4", 16, 8),
    ("decoder3.dec3", 8, 4),
    ("decoder2.dec2", 4, 2),
    ("decoder1.dec1", 2, 1),
]
UPCONVS = [("upconv4", 16, 8), ("upconv3", 8, 4), ("upconv2", 4, 2), ("upconv1", 2, 1)]


def published_weights(inputs, outputs, width, seed=0):
    """Random weights under the names of the published code."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale):
        return torch.randn(*shape, generator=generator) * scale

    weights = {}
    for block, narrow, wide in BLOCKS:
        for number, channels in ((1, narrow), (2, wide)):
            given = inputs if channels is None else channels * width
            made = wide * width
            name = f"{block}conv{number}.weight"
            weights[name] = normal(made, given, 3, 3, scale=(2 / (9 * given)) ** 0.5)
            norm = f"{block}norm{number}."
            weights[norm + "weight"] = 1 + normal(made, scale=0.2)
            weights[norm + "bias"] = normal(made, scale=0.2)
            weights[norm + "running_mean"] = normal(made, scale=0.2)
            weights[norm + "running_var"] = 0.5 + torch.rand(made, generator=generator)
            weights[norm + "num_batches_tracked"] = torch.tensor(1234)
    for name, wide, narrow in UPCONVS:
        scale = (1 / (wide * width)) ** 0.5
        weights[name + ".weight"] = normal(wide * width, narrow * width, 2, 2, scale=scale)
        weights[name + ".bias"] = normal(narrow * width, scale=0.2)
    weights["conv.weight"] = normal(outputs, width, 1, 1, scale=width**-0.5)
    weights["conv.bias"] = normal(outputs, scale=0.2)
    return weights

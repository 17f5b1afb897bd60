"""Menon's method against a slow one that follows the paper pixel by pixel."""

import numpy as np
import pytest
import torch

from isp_meta.camera import BAYER_PATTERNS
from isp_meta.stages import demosaic

MARGIN = 8


def pixel_by_pixel(mosaic, cfa):
    """All steps on whole pictures, with dictionaries of offsets; border pixels are not right."""
    height, width = mosaic.shape
    color = np.array([[cfa[2 * (y % 2) + x % 2] for x in range(width)] for y in range(height)])
    green = color == "G"

    def shifted(picture, down, right):
        return np.roll(picture, (-down, -right), (0, 1))

    def filtered(picture, taps, rows):
        reach = len(taps) // 2
        offsets = range(-reach, reach + 1)
        return sum(
            tap * (shifted(picture, k, 0) if rows else shifted(picture, 0, k))
            for k, tap in zip(offsets, taps, strict=True)
        )

    taps = (-0.25, 0.5, 0.5, 0.5, -0.25)
    greens = [np.where(green, mosaic, filtered(mosaic, taps, rows)) for rows in (False, True)]
    change = []
    for rows, estimate in zip((False, True), greens, strict=True):
        difference = np.where(green, 0, mosaic - estimate)
        step = np.abs(difference - shifted(difference, *((2, 0) if rows else (0, 2))))
        total = np.zeros_like(mosaic)
        for along, aside in np.ndindex(3, 5):
            weight = 3 if aside == 2 else 1
            if (along == 1) == (aside % 2 == 1):
                offset = (along - 2, aside - 2) if rows else (aside - 2, along - 2)
                total += weight * shifted(step, *offset)
        change.append(total)
    by_row = change[1] >= change[0]
    full = {"G": np.where(green, mosaic, np.where(by_row, *greens))}
    pair, three = (0.5, 0, 0.5), (1 / 3, 1 / 3, 1 / 3)

    def chosen(picture, taps):
        return np.where(by_row, filtered(picture, taps, False), filtered(picture, taps, True))

    def at_green(name, values):
        own_row = (color == name).any(axis=1)[:, None] & green
        beside = np.where(own_row, filtered(values, pair, False), filtered(values, pair, True))
        return np.where(green, beside, values)

    for name in "RB":
        difference = at_green(name, np.where(color == name, mosaic - full["G"], 0))
        full[name] = np.where(green | (color == name), full["G"] + difference, 0)
    contrast = full["R"] - full["B"]
    full["R"] = np.where(color == "B", full["B"] + chosen(contrast, pair), full["R"])
    full["B"] = np.where(color == "R", full["R"] - chosen(contrast, pair), full["B"])

    differences = {name: chosen(full[name] - full["G"], three) for name in "RB"}
    for name in "RB":
        full["G"] = np.where(color == name, mosaic - differences[name], full["G"])
    for name in "RB":
        difference = at_green(name, np.where(color == name, mosaic - full["G"], 0))
        full[name] = np.where(green, full["G"] + difference, full[name])
    contrast = chosen(full["R"] - full["B"], three)
    red = np.where(color == "B", mosaic + contrast, full["R"])
    blue = np.where(color == "R", mosaic - contrast, full["B"])
    return np.stack([red, full["G"], blue])


@pytest.mark.parametrize("cfa", BAYER_PATTERNS)
def test_as_the_paper_says(cfa):
    generator = torch.Generator().manual_seed(3)
    mosaic = torch.rand(1, 30, 34, generator=generator, dtype=torch.float64)
    found = demosaic(mosaic, cfa, "menon")[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    expected = pixel_by_pixel(mosaic[0].numpy(), cfa)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [-1, -2])
def test_an_edge_along_the_lattice_gets_no_false_color(dim):
    gray = torch.full((1, 32, 32), 0.2, dtype=torch.float64)
    gray.narrow(dim, 17, 15).fill_(0.8)
    inside = (..., slice(8, -8), slice(8, -8))
    spread = {}
    for method in ("bilinear", "malvar", "menon"):
        raw = demosaic(gray, "RGGB", method)[inside]
        spread[method] = float((raw.amax(0) - raw.amin(0)).max())
    assert spread["menon"] < 1e-12 < 0.1 < min(spread["bilinear"], spread["malvar"])

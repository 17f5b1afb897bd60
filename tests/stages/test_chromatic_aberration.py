import pytest
import torch

from isp_meta.camera import QUAD_BAYER, Camera
from isp_meta.frame import Frame
from isp_meta.pipeline import Pipeline
from isp_meta.stages import (
    ChromaticAberration,
    LensWarp,
    chromatic_aberration,
    demosaic,
    lateral_color,
)

CENTER = torch.tensor([0.5, 0.5])
RED, BLUE = (0.006, -0.002, 0.0), (-0.004, 0.0, -0.002)
SIZE = (240, 320)


def scene(seed=0, size=SIZE):
    """Round things of all sizes and colors, sharp but not aliased."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    raw = torch.full((3, *size), 0.3)
    for _ in range(120):
        y, x, radius = torch.rand(3, generator=generator) * torch.tensor([*size, 25.0])
        color = 0.1 + 0.6 * torch.rand(1, generator=generator) * (
            0.7 + 0.3 * torch.rand(3, 1, 1, generator=generator)
        )
        inside = torch.sigmoid(3 + radius - ((rows - y) ** 2 + (columns - x) ** 2).sqrt())
        raw = raw + inside * (color - raw)
    return raw


def mosaic_of(raw, cfa="RGGB"):
    mosaic = torch.zeros_like(raw[:1])
    for place, color in enumerate(cfa):
        at = (..., slice(place // 2, None, 2), slice(place % 2, None, 2))
        mosaic[at] = raw["RGB".index(color)][at]
    return mosaic


def seen_by_a_lens(raw):
    warps = [[1 + k[0], k[1], k[2], 0.0, 0.0, 0.0] for k in (RED, (0.0,) * 3, BLUE)]
    return LensWarp(warps, inverse=True)(Frame(raw=raw)).raw


def displacement(k):
    """Pixels at a quarter, a half and three quarters of the way to the corner."""
    radius = torch.tensor([0.25, 0.5, 0.75])
    k = torch.as_tensor(k)
    return 200 * radius * (k[0] + k[1] * radius**2 + k[2] * radius**4)


@pytest.fixture(scope="module")
def fringed():
    return mosaic_of(seen_by_a_lens(scene()))


def test_finds_what_the_lens_did(fringed):
    found = chromatic_aberration(demosaic(fringed, "RGGB", "bilinear"), CENTER)
    none = chromatic_aberration(demosaic(mosaic_of(scene()), "RGGB", "bilinear"), CENTER)
    for color, true in enumerate((RED, BLUE)):
        assert displacement(true).abs().max() > 0.5
        assert displacement(none[color]).abs().max() < 0.1
        assert (displacement(found[color]) - displacement(true)).abs().max() < 0.1


def test_corrects_what_it_finds(fringed):
    inner, true = (..., slice(12, -12), slice(12, -12)), mosaic_of(scene())
    frame = Frame(Camera(), mosaic=fringed)

    def error(mosaic):
        return float((mosaic - true)[inner].square().mean().sqrt())

    found, known = ChromaticAberration()(frame).mosaic, ChromaticAberration(RED, BLUE)(frame).mosaic
    assert error(known) < 0.25 * error(fringed)
    assert error(found) < 0.3 * error(fringed)


def test_without_aberration_every_pixel_stays():
    mosaic = mosaic_of(scene(size=(31, 42)), "GRBG")
    done = lateral_color(mosaic, "GRBG", torch.zeros(3), torch.zeros(3), CENTER)
    torch.testing.assert_close(done, mosaic, rtol=0, atol=1e-6)


def test_linear_raw_has_its_colors_moved():
    raw = scene(size=(60, 80))
    seen = seen_by_a_lens(raw)
    done = lateral_color(seen, "RGB", torch.tensor(RED), torch.tensor(BLUE), CENTER)
    inner = (..., slice(4, -4), slice(4, -4))
    assert (done - raw)[inner].square().mean() < 0.1 * (seen - raw)[inner].square().mean()
    assert torch.equal(done[1], seen[1])


def test_each_picture_of_a_batch_is_looked_at_alone(fringed):
    several = torch.stack([fringed, mosaic_of(scene(1))])[..., :120, :160]
    stage = ChromaticAberration()
    together = stage(Frame(Camera(), mosaic=several)).mosaic
    for picture, done in zip(several, together, strict=True):
        alone = stage(Frame(Camera(), mosaic=picture)).mosaic
        torch.testing.assert_close(done, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_where_nothing_is_to_be_seen_nothing_moves(level):
    mosaic = torch.full((1, 20, 30), level)
    assert torch.equal(ChromaticAberration()(Frame(Camera(), mosaic=mosaic)).mosaic, mosaic)


def test_monochrome_and_other_mosaics():
    mosaic = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    gray = Frame(Camera(cfa="W"), mosaic=mosaic)
    assert ChromaticAberration()(gray) is gray
    with pytest.raises(ValueError, match=r"stage 0 \(ChromaticAberration\): .*RRGGRRGGGGBBGGBB"):
        Pipeline([ChromaticAberration()])(Frame(Camera(cfa=QUAD_BAYER), mosaic=mosaic))


def test_refusals_and_repr():
    for arguments in ({"red": [0.0] * 3}, {"red": [0.0] * 2, "blue": [0.0] * 3}, {"center": [0.5]}):
        with pytest.raises(ValueError, match="3 values of red and of blue"):
            ChromaticAberration(**arguments)
    with pytest.raises(ValueError, match=r"red must be -0.1 to 0.1"):
        ChromaticAberration([0.2, 0, 0], [0, 0, 0])
    assert repr(ChromaticAberration()).startswith("ChromaticAberration(red=None, blue=None, ")

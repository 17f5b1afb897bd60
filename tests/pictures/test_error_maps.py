import numpy as np
import pytest
import torch
from PIL import Image

from isp_meta.comparison import measure
from isp_meta.pictures import ErrorMaps
from isp_meta.pictures.error_maps import round_scale
from isp_meta.samplers import RandomSampler, UniformSampler


@pytest.mark.parametrize(
    ("level", "scale"), [(0.0, 1e-4), (0.0101, 0.02), (0.02, 0.02), (0.3, 0.5), (0.9, 1.0)]
)
def test_the_scale_is_a_round_number_that_holds_nearly_all(level, scale):
    error = torch.full((10, 20), level)
    error[0, :9] = 5.0  # less than 5 %
    assert round_scale([torch.zeros(10, 20), error]) == pytest.approx(scale)


def test_the_worst_method_sets_the_scale_of_all():
    small, large = torch.full((4, 4), 0.001), torch.full((4, 4), 0.05)
    assert round_scale([small, large]) == round_scale([large]) == pytest.approx(0.05)


def sheet(scene, *errors):
    maps = ErrorMaps(scene)
    for number, error in enumerate(errors):
        raw = scene.raw + error
        keeper = UniformSampler() if number == 0 else RandomSampler()
        kept = scene.replace(samples=keeper(scene))
        maps.add(f"m{number}+x", keeper, kept, raw, measure(raw.clamp(0, 1), scene))
    return maps


def test_a_sheet_shows_picture_samples_errors_and_scale(scene, tmp_path):
    maps = sheet(scene, 0.005, 0.05)
    drawn = maps.draw()
    pixels = np.asarray(drawn)
    # 64x48 enlarged tenfold: three in the first row, two maps and the scale below.
    assert drawn.width == 3 * 640 + 4 * 8
    assert (pixels == (255, 242, 51)).all(-1).sum() == 100 * 48 * 2
    top = 8 + 480 + 22 + 8
    below = pixels[top : top + 480]
    left, right = below[:, 8:648], below[:, 656:1296]
    # A tenth of the scale is dark, all of it white.
    assert left.mean() < 30
    assert (right >= 250).mean() > 0.95
    maps.write(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as read:
        assert np.array_equal(np.asarray(read), pixels)


def test_samplers_that_several_methods_share_are_drawn_once(scene):
    maps, sampler = ErrorMaps(scene), UniformSampler()
    for title in ("uniform+a", "uniform+b"):
        kept = scene.replace(samples=sampler(scene))
        maps.add(title, sampler, kept, scene.raw, measure(scene.raw, scene))
    assert len(maps.overlays) == 1
    assert len(maps.errors) == 2


def test_nothing_is_written_of_nothing(scene, tmp_path):
    ErrorMaps(scene).write(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []

import pytest
import torch

from isp_meta.errors import RawFileError
from isp_meta.io import known_camera
from isp_meta.stages.color_matrix import SRGB_TO_XYZ


def test_a_camera_of_the_table_has_its_published_matrix():
    camera = known_camera("SONY", "SLT-A57")
    # ColorMatrix2 that Adobe's DNG Converter writes for this camera.
    assert camera.color_matrix == (
        *(0.5991, -0.1456, -0.0455),
        *(-0.4764, 1.2135, 0.2980),
        *(-0.0707, 0.1425, 0.6701),
    )
    assert (camera.make, camera.model) == ("SONY", "SLT-A57")


def test_its_neutral_is_what_the_matrix_says_of_daylight():
    camera = known_camera("OLYMPUS IMAGING CORP.", "E-PL6")
    matrix = torch.tensor(camera.color_matrix, dtype=torch.float64).view(3, 3)
    white = matrix @ torch.tensor(SRGB_TO_XYZ, dtype=torch.float64).sum(1)
    neutral = torch.tensor(camera.as_shot_neutral, dtype=torch.float64)
    torch.testing.assert_close(neutral, white / white[1], rtol=2e-3, atol=0)


def test_names_are_found_as_people_write_them():
    assert known_camera("Samsung", "NX2000").color_matrix == (
        known_camera("SAMSUNG", "NX2000").color_matrix
    )


@pytest.mark.parametrize(
    ("make", "model"), [("Nobody", "Nothing 1"), ("", ""), ("SONY\0", "x" * 5000)]
)
def test_an_unknown_camera_is_named(make, model):
    with pytest.raises(RawFileError, match="LibRaw"):
        known_camera(make, model)

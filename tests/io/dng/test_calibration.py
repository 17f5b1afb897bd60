from __future__ import annotations

import numpy as np
import pytest

from isp_meta.io.dng.calibration import as_shot_neutral, color_matrix, noise_profile
from isp_meta.io.dng.tags import Tag, TiffTags

EYE = tuple(np.eye(3).ravel())


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [(17, 21, 21), (21, 17, 21), (3, 23, 23), (23, 22, 22), (0, 17, 17), (20, 19, 19)],
)
def test_nearest_illuminant_to_d65(first: int, second: int, chosen: int) -> None:
    matrices = {first: EYE, second: tuple(2 * v for v in EYE)}
    numbers = {
        Tag.COLOR_MATRIX[0]: matrices[first],
        Tag.COLOR_MATRIX[1]: matrices[second],
        Tag.CALIBRATION_ILLUMINANT[0]: (first,),
        Tag.CALIBRATION_ILLUMINANT[1]: (second,),
    }
    assert color_matrix(TiffTags(numbers)) == (matrices[chosen], chosen)


def test_calibration_and_analog_balance_multiply_from_the_left() -> None:
    matrix = np.arange(1.0, 10.0).reshape(3, 3)
    calibration = np.diag([1.1, 1.0, 0.9])
    numbers = {
        Tag.COLOR_MATRIX[0]: tuple(matrix.ravel()),
        Tag.CAMERA_CALIBRATION[0]: tuple(calibration.ravel()),
        Tag.ANALOG_BALANCE: (2.0, 1.0, 0.5),
    }
    found = color_matrix(TiffTags(numbers))
    assert found is not None
    expected = matrix * np.array([[2.2], [1.0], [0.45]])
    np.testing.assert_allclose(np.reshape(found[0], (3, 3)), expected)
    assert found[1] == 21  # a matrix without illuminant


@pytest.mark.parametrize("matrix", [(), (0.0,) * 9, (float("nan"),) * 9, (1.0,) * 12])
def test_unusable_matrix(matrix: tuple[float, ...]) -> None:
    assert color_matrix(TiffTags({Tag.COLOR_MATRIX[0]: matrix})) is None


def test_neutral() -> None:
    assert as_shot_neutral(TiffTags({Tag.AS_SHOT_NEUTRAL: (0.5, 1.0, 0.6)})) == (0.5, 1.0, 0.6)
    for bad in ((), (0.0, 1.0, 1.0), (float("nan"), 1.0, 1.0), (1.0, 1.0)):
        assert as_shot_neutral(TiffTags({Tag.AS_SHOT_NEUTRAL: bad})) is None


def test_noise_of_one_plane_or_the_mean_over_the_mosaic() -> None:
    assert noise_profile(TiffTags({Tag.NOISE_PROFILE: (1e-3, 1e-6)})) == (1e-3, 1e-6)
    of_colors = (1e-3, 1e-6, 2e-3, 2e-6, 5e-3, 5e-6)
    found = noise_profile(TiffTags({Tag.NOISE_PROFILE: of_colors}))
    assert found == pytest.approx((2.5e-3, 2.5e-6))


@pytest.mark.parametrize("values", [(), (1e-3,), (-1e-3, 0.0), (float("nan"), 0.0), (0.1,) * 4])
def test_unusable_noise(values: tuple[float, ...]) -> None:
    assert noise_profile(TiffTags({Tag.NOISE_PROFILE: values})) is None

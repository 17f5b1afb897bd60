from __future__ import annotations

import numpy as np
import pytest

from isp_meta.io.dng.calibration import as_shot_neutral, black_levels, color_matrix, noise_profile
from isp_meta.io.dng.tags import Tag, TiffTags

EYE = tuple(np.eye(3).ravel())


@pytest.mark.parametrize(
    ("repeat", "levels", "expected"),
    [
        ((1, 1), (64,), (64, 64, 64, 64)),
        ((1, 2), (64, 66), (64, 66, 64, 66)),
        ((2, 1), (64, 66), (64, 64, 66, 66)),
        ((2, 2), (1, 2, 3, 4), (1, 2, 3, 4)),
        ((4, 4), tuple(range(16)), (5, 6, 9, 10)),
        ((3, 1), (0, 3, 6), (3, 3, 3, 3)),
    ],
)
def test_black_level_patterns(
    repeat: tuple[float, ...], levels: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    tags = TiffTags({Tag.BLACK_LEVEL_REPEAT_DIM: repeat, Tag.BLACK_LEVEL: levels})
    assert black_levels(tags, 0, 0) == expected


def test_black_level_starts_at_the_active_area() -> None:
    numbers = {
        Tag.BLACK_LEVEL_REPEAT_DIM: (2, 2),
        Tag.BLACK_LEVEL: (1, 2, 3, 4),
        Tag.ACTIVE_AREA: (1, 0, 10, 10),
    }
    assert black_levels(TiffTags(numbers), 1, 0) == (1, 2, 3, 4)
    assert black_levels(TiffTags(numbers), 2, 0) == (3, 4, 1, 2)
    assert black_levels(TiffTags(numbers), 2, 1) == (4, 3, 2, 1)


def test_black_level_deltas_add_their_mean() -> None:
    numbers = {
        Tag.BLACK_LEVEL: (100.0,),
        Tag.BLACK_LEVEL_DELTA_H: (1, 0, 3, 0),
        Tag.BLACK_LEVEL_DELTA_V: (0, -4),
    }
    assert black_levels(TiffTags(numbers), 0, 0) == (102, 100, 98, 96)


@pytest.mark.parametrize("levels", [(), (1, 2), (float("nan"),)])
def test_unusable_black_level(levels: tuple[float, ...]) -> None:
    assert black_levels(TiffTags({Tag.BLACK_LEVEL: levels}), 0, 0) is None
    assert black_levels(TiffTags(), 0, 0) is None


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

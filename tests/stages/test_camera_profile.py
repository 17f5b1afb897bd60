import numpy as np
import pytest
import torch

from isp_meta.camera import Camera, ColorProfile
from isp_meta.colorimetry import D50, temperature_of_xy, xy_of_temperature, xy_to_xyz
from isp_meta.stages.camera_profile import (
    camera_to_xyz,
    first_weight,
    neutral_of_temperature,
    neutral_to_xy,
)

# ColorMatrix1 (tungsten) and ColorMatrix2 (D50) of a GoPro HERO6.
TUNGSTEN = (1.8331, -0.8166, -0.2478, 0.1391, 0.8961, -0.0367, 0.0822, 0.0662, 0.2597)
DAYLIGHT = (1.0344, -0.4210, -0.0620, -0.2315, 1.0625, 0.1948, 0.0093, 0.1058, 0.5541)
PROFILE = ColorProfile(illuminants=(3, 23), color_matrices=(TUNGSTEN, DAYLIGHT))
WHITE = xy_to_xyz(torch.tensor(D50, dtype=torch.float64))


def matrix(values):
    return np.reshape(values, (3, 3))


def camera(kelvin, profile=PROFILE):
    """Balanced to light of a temperature."""
    start = Camera(profile=profile, color_matrix=DAYLIGHT, illuminant=23)
    neutral = neutral_of_temperature(start, torch.tensor(kelvin), torch.tensor(0.0))
    return start.replace(neutral=tuple(neutral.tolist()))


@pytest.mark.parametrize("kelvin", [2000.0, 2850.0, 3300.0, 4100.0, 5000.0, 9000.0])
def test_the_light_is_found_again(kelvin):
    found = torch.tensor(neutral_to_xy(camera(kelvin)), dtype=torch.float64)
    assert temperature_of_xy(found) == pytest.approx((kelvin, 0), rel=1e-4, abs=0.05)


@pytest.mark.parametrize(
    ("kelvin", "expected"),
    [
        (2500.0, 1.0),
        (2850.0, 1.0),
        (5000.0, 0.0),
        (7000.0, 0.0),
        (3600.0, (1 / 3600 - 1 / 5000) / (1 / 2850 - 1 / 5000)),
    ],
)
def test_weight_goes_with_reciprocal_temperature(kelvin, expected):
    assert first_weight(camera(kelvin)) == pytest.approx(expected, abs=2e-4)


def test_order_of_the_illuminants_does_not_matter():
    swapped = ColorProfile(illuminants=(23, 3), color_matrices=(DAYLIGHT, TUNGSTEN))
    one, other = camera(3600.0), camera(3600.0, swapped)
    assert one.neutral == pytest.approx(other.neutral)
    torch.testing.assert_close(camera_to_xyz(one), camera_to_xyz(other))


@pytest.mark.parametrize(("kelvin", "tag"), [(2850.0, TUNGSTEN), (5000.0, DAYLIGHT)])
def test_at_an_illuminant_its_own_matrix_counts(kelvin, tag):
    """A patch's XYZ in that light, seen by the camera, balanced and brought back."""
    light = xy_to_xyz(xy_of_temperature(torch.tensor(kelvin), torch.tensor(0.0))).numpy()
    one = camera(kelvin, ColorProfile(illuminants=(3,), color_matrices=(tag,)))
    torch.testing.assert_close(camera_to_xyz(camera(kelvin)), camera_to_xyz(one), atol=2e-4, rtol=0)
    patch = np.array([0.3, 0.2, 0.1])
    seen = matrix(tag) @ patch / (matrix(tag) @ light)
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    gain = (bradford @ WHITE.numpy()) / (bradford @ light)
    expected = np.linalg.inv(bradford) @ (gain * (bradford @ patch))
    np.testing.assert_allclose(camera_to_xyz(one).numpy() @ seen, expected, atol=1e-9)


@pytest.mark.parametrize("kelvin", [2200.0, 2850.0, 3700.0, 5000.0, 8000.0])
@pytest.mark.parametrize("forward", [False, True])
def test_white_becomes_d50(kelvin, forward):
    rows = WHITE.numpy()[:, None] * matrix([0.6, 0.3, 0.1, 0.2, 0.8, 0.01, 0.0, 0.1, 0.9])
    tags = (tuple(rows.ravel()), tuple(np.roll(rows, 1, axis=1).ravel()))
    profile = ColorProfile(
        illuminants=(3, 23),
        color_matrices=(TUNGSTEN, DAYLIGHT),
        forward_matrices=tags if forward else (),
    )
    white = camera_to_xyz(camera(kelvin, profile)).sum(1)
    torch.testing.assert_close(white, WHITE, rtol=0, atol=1e-9)


def test_forward_matrix_of_the_illuminant_itself():
    rows = matrix([0.7, 0.2, 0.0642, 0.25, 0.7, 0.05, 0.01, 0.1, 0.7149])
    profile = ColorProfile(
        illuminants=(17, 21),
        color_matrices=(TUNGSTEN, DAYLIGHT),
        forward_matrices=(tuple(rows.ravel()), (0.9642, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.8249)),
    )
    np.testing.assert_allclose(camera_to_xyz(camera(2500.0, profile)).numpy(), rows, atol=1e-4)
    half = ColorProfile(
        illuminants=(17, 21),
        color_matrices=(TUNGSTEN, DAYLIGHT),
        forward_matrices=(tuple(rows.ravel()),),
    )
    plain = ColorProfile(illuminants=(17, 21), color_matrices=(TUNGSTEN, DAYLIGHT))
    torch.testing.assert_close(
        camera_to_xyz(camera(2500.0, half)), camera_to_xyz(camera(2500.0, plain))
    )


def test_without_a_profile_the_camera_s_own_matrix_counts():
    bare = Camera(color_matrix=DAYLIGHT, as_shot_neutral=(0.5, 1.0, 0.6))
    same = bare.replace(profile=ColorProfile(illuminants=(21,), color_matrices=(DAYLIGHT,)))
    assert torch.equal(camera_to_xyz(bare), camera_to_xyz(same))
    assert first_weight(bare) == 1.0
    np.testing.assert_allclose(neutral_to_xy(Camera()), (0.3127, 0.3290), atol=1e-4)


def test_refuses_matrices_and_neutrals_that_are_none():
    with pytest.raises(ValueError, match="no calibration"):
        camera_to_xyz(Camera(color_matrix=(1.0,) * 9))
    with pytest.raises(ValueError, match="no color of light"):
        camera_to_xyz(Camera(color_matrix=DAYLIGHT, as_shot_neutral=(1e-3, 1.0, 1e-3)))

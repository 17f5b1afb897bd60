import numpy as np
import pytest
import torch

from isp_meta import colorimetry
from isp_meta.colorimetry import (
    D50,
    D65,
    SPACES,
    TRANSFERS,
    bradford,
    conversion,
    rgb_to_xyz,
    temperature_of_xy,
    xy_of_temperature,
    xy_to_xyz,
)

RGB = [space for space in SPACES if space != "xyz"]


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_srgb_s_matrix_is_that_of_its_standard():
    standard = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    np.testing.assert_allclose(rgb_to_xyz("srgb").numpy(), standard, atol=6e-5)


def test_luminance_of_rec2020_and_matrix_of_prophoto_as_published():
    np.testing.assert_allclose(
        rgb_to_xyz("rec2020")[1].numpy(), [0.2627, 0.6780, 0.0593], atol=5e-5
    )
    published = [[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]]
    np.testing.assert_allclose(rgb_to_xyz("prophoto").numpy(), published, atol=1e-4)


@pytest.mark.parametrize("source", RGB)
@pytest.mark.parametrize("target", RGB)
def test_white_stays_white_and_conversions_undo_each_other(source, target):
    there, back = conversion(source, target), conversion(target, source)
    torch.testing.assert_close(there.sum(1), torch.ones(3).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(there @ back, torch.eye(3).double(), rtol=0, atol=1e-12)


def test_bradford_from_d65_to_d50_as_published():
    # ICC.1:2022, annex E.
    published = [[1.0479, 0.0229, -0.0502], [0.0296, 0.9904, -0.0171], [-0.0092, 0.0151, 0.7517]]
    matrix = bradford(xy_to_xyz(double(*D65)), xy_to_xyz(double(*D50)))
    np.testing.assert_allclose(matrix.numpy(), published, atol=2e-4)
    torch.testing.assert_close(matrix @ xy_to_xyz(double(*D65)), double(0.9642, 1.0, 0.8249))


def test_spaces_given_out_cannot_be_spoiled():
    rgb_to_xyz("srgb").zero_()
    conversion("srgb", "rec2020").zero_()
    assert float(rgb_to_xyz("srgb").sum()) > 1
    assert float(conversion("srgb", "rec2020").sum()) == pytest.approx(3)


@pytest.mark.parametrize(
    ("kelvin", "x", "y"),
    # CIE 15, Planck's radiator with c2 = 1.4388e-2 m K.
    [
        (2856, 0.4476, 0.4074),
        (4000, 0.3805, 0.3768),
        (5000, 0.3451, 0.3516),
        (6500, 0.3135, 0.3237),
    ],
)
def test_planck_s_locus(kelvin, x, y):
    assert xy_of_temperature(double(kelvin)[0], double(0.0)[0]).tolist() == pytest.approx(
        [x, y], abs=3e-4
    )


def test_known_lights():
    assert temperature_of_xy(double(*D65)) == pytest.approx((6504, 9.8), abs=0.5)
    assert temperature_of_xy(double(*D50)) == pytest.approx((5001, 9.6), abs=0.5)
    assert temperature_of_xy(double(0.44757, 0.40745)) == pytest.approx((2856, 0), abs=0.5)


@pytest.mark.parametrize("kelvin", [1700.0, 2850.0, 3077.0, 5003.0, 6504.0, 12000.0, 40000.0])
@pytest.mark.parametrize("tint", [-60.0, 0.0, 25.0])
def test_temperature_both_ways(kelvin, tint):
    xy = xy_of_temperature(double(kelvin)[0], double(tint)[0])
    found = temperature_of_xy(xy)
    assert found == pytest.approx((kelvin, tint), rel=1e-5, abs=1e-4)


def test_positive_tint_is_greener():
    neutral, green = (xy_of_temperature(double(5000.0)[0], double(t)[0]) for t in (0.0, 30.0))
    assert green[1] > neutral[1] + 0.01


def test_colors_beyond_the_table_get_its_ends():
    assert temperature_of_xy(double(0.6, 0.35))[0] == pytest.approx(1e6 / 600)
    assert temperature_of_xy(double(0.2, 0.2))[0] == pytest.approx(1e5)


def test_temperature_is_differentiable():
    kelvin = torch.tensor(4321.0, dtype=torch.float64, requires_grad=True)
    tint = torch.tensor(7.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(xy_of_temperature, (kelvin, tint), eps=1e-3, atol=1e-9)


@pytest.mark.parametrize("name", TRANSFERS)
def test_transfer_functions_are_unbroken_and_undone(name):
    transfer = TRANSFERS[name]
    x = torch.cat([torch.linspace(0, 1, 10_001), torch.linspace(0, 0.02, 10_001)]).double()
    torch.testing.assert_close(transfer.decode(transfer.encode(x)), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(transfer.encode(transfer.decode(x)), x, rtol=0, atol=1e-14)
    assert transfer.encode(double(0.0, 1.0)).tolist() == pytest.approx([0, 1], abs=1e-15)
    assert (transfer.encode(torch.linspace(0, 1, 4001).double()).diff() > 0).all()
    beside = double(transfer.end * (1 - 1e-12), transfer.end * (1 + 1e-12))
    assert float(transfer.encode(beside).diff()) == pytest.approx(0, abs=1e-12)


def test_unknown_space():
    with pytest.raises(ValueError, match="'adobe'"):
        rgb_to_xyz("adobe")
    assert set(colorimetry.__all__) <= set(vars(colorimetry))

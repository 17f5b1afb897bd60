"""The shift between two pictures, by their gradients."""

from __future__ import annotations

import pytest
import torch

from isp_meta.registration.match import directions, match, match_part


@pytest.fixture
def texture():
    generator = torch.Generator().manual_seed(3)
    return torch.nn.functional.avg_pool2d(
        torch.rand((1, 122, 162), generator=generator), 3, stride=1
    )[0]


@pytest.mark.parametrize(("top", "left"), [(0, 0), (13, 40), (-7, 5), (30, -9)])
def test_a_part_is_found_whatever_its_tones(texture, top, left):
    whole = torch.nn.functional.pad(texture, (10, 10, 10, 10), value=0.5)
    part = whole[top + 10 : top + 90, left + 10 : left + 100].clone() ** 0.4
    found = match(directions(part), directions(texture), 10)
    assert (round(found.top), round(found.left)) == (top, left)
    assert found.distinct(0.6, 2)


def test_a_larger_picture_holds_the_smaller_one(texture):
    found = match(directions(texture), directions(texture[20:90, 31:120]), 0)
    assert (round(found.top), round(found.left)) == (-20, -31)
    assert found.distinct(0.5, 2)


def test_a_shift_beyond_the_slack_is_not_found(texture):
    whole = torch.nn.functional.pad(texture, (10, 10, 10, 10), value=0.5)
    part = whole[2:92, 10:100]
    assert not match(directions(part), directions(texture), 4).distinct(0.3, 1.05)


def test_a_negative_and_noise_are_like_nothing(texture):
    noise = torch.rand(texture.shape, generator=torch.Generator().manual_seed(4))
    for other in (1 - texture, noise):
        assert not match(directions(other), directions(texture), 10).distinct(0.2, 1.05)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, -0.75])
def test_a_fraction_of_a_pixel_is_told(shift):
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    pictures = []
    for moved in (0.0, shift):
        waves = ((0.31, 0.2), (-0.23, 0.4), (0.11, -0.37), (0.05, 0.13), (0.47, 0.03))
        pictures.append(directions(sum(torch.sin((x + moved) * a + y * b) for a, b in waves)))
    found, _ = match_part(*pictures)
    assert found.left == pytest.approx(-shift, abs=0.15)
    assert found.top == pytest.approx(0, abs=0.1)


def test_what_is_flat_has_no_direction():
    assert directions(torch.full((20, 30), 0.3)).abs().max() == 0

import itertools

import pytest
import torch

from isp_meta.stages.bayer import Field, interleave, put, split
from isp_meta.stages.borders import extended

HEIGHT, WIDTH, HALO = 6, 10, 4


def padded_by(halo):
    y = torch.arange(-halo, HEIGHT + halo).view(-1, 1)
    return 1000 * y + torch.arange(-halo, WIDTH + halo)


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("halo", [(0, 0), (1, 2), (2, 1), (3, 3)])
def test_a_field_gives_the_pixel_at_an_offset(position, halo):
    field = split(padded_by(HALO), HALO)
    top, left = divmod(position, 2)
    y = [y for y in range(-halo[0], HEIGHT + halo[0]) if y % 2 == top]
    x = [x for x in range(-halo[1], WIDTH + halo[1]) if x % 2 == left]
    here = torch.tensor([[1000 * row + column for column in x] for row in y])
    for down, right in itertools.product(range(-1, 2), repeat=2):
        found = field.at(position, (down, right), halo)
        assert torch.equal(found, here + 1000 * down + right)
        assert torch.equal(field.pair(position, (down, right), halo), 2 * here)


def test_a_field_made_with_a_halo_of_its_own_gives_the_same():
    whole = split(padded_by(HALO), HALO)
    for halo in itertools.product(range(1, 4), repeat=2):
        part = Field({p: whole.at(p, halo=halo) for p in range(4)}, whole.size, halo)
        for position, offset in itertools.product(range(4), [(0, 1), (-1, 0), (1, 1)]):
            assert torch.equal(part.at(position, offset), whole.at(position, offset))


@pytest.mark.parametrize("size", [(6, 10), (5, 9), (5, 10)])
def test_planes_become_pictures_either_way(size):
    raw = torch.rand(2, 3, *size)
    even = extended(extended(raw, -2, 0, 6), -1, 0, 10)
    planes = [even[:, c, p // 2 :: 2, p % 2 :: 2] for c in range(3) for p in range(4)]
    assert torch.equal(interleave(planes, size), raw)
    into = torch.full_like(raw, torch.nan)
    put(planes, into)
    assert torch.equal(into, raw)

import pytest
import torch

from isp_meta.decoder.systems import LocalRBFSetting, NearestSamples, predict
from isp_meta.ops import reference


def blocks(count, neighbors, side):
    """Points of samples around some blocks, the blocks' corners, and the guides of their pixels."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.tensor([[40.0 * i, 7.0 * i] for i in range(count)])
    points = torch.rand(count, neighbors, 7, generator=generator)
    points[..., :2] = corner[:, None] + 3 * side * (points[..., :2] - 0.3)
    return points, corner, torch.rand(count, 5, side, side, generator=generator)


@pytest.mark.parametrize("kernel", ["exponential", "rational"])
@pytest.mark.parametrize("side", [4, 7])
def test_a_prediction_is_that_of_the_operator_on_the_whole_picture(kernel, side):
    points, corner, guide = blocks(3, 9, side)
    values = torch.rand(3, 9, 2, generator=torch.Generator().manual_seed(1))
    basis = LocalRBFSetting("log_gain", kernel, 20.0, 0.4, 0.1).basis
    got = predict(basis, points, values, corner, guide)
    assert got.shape == (3, side * side, 2)
    for block in range(3):
        y, x = corner[block].int().tolist()
        whole = torch.zeros(1, 5, side, side) + guide[block]
        moved = points[block].clone()
        moved[:, :2] -= torch.tensor([y, x])
        every = torch.arange(9).view(1, 1, 1, 9)
        wanted = reference.local_rbf(whole, moved, values[block], every, side, basis)
        torch.testing.assert_close(got[block].T, wanted.flatten(2)[0], rtol=0, atol=2e-5)


def test_the_nearest_samples_come_nearest_first():
    index = torch.randperm(30 * 40, generator=torch.Generator().manual_seed(0))[:50]
    place = torch.stack([index // 40, index % 40], 1).double()
    position = torch.tensor([[3.0, 4.0], [29.0, 0.5], [12.3, 31.7]], dtype=torch.float64)
    near = NearestSamples(index, 40)(position, 5)
    distance = torch.cdist(position, place)
    wanted = distance.sort(1).values[:, :5]
    torch.testing.assert_close(distance.gather(1, near), wanted)
    assert NearestSamples(index[:1], 40)(position, 1).tolist() == [[0], [0], [0]]

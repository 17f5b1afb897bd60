import pytest
import torch

from isp_meta.capture.loop.systems import Systems, in_blocks
from isp_meta.ops import local_rbf
from isp_meta.reconstruct.local_rbf import LocalRBFSetting

SETTINGS = [
    LocalRBFSetting("log_gain", kernel, 9.0, 0.3, ridge)
    for kernel, ridge in (("exponential", 0.01), ("rational", 0.05))
]


def case(setting, seed=0):
    """A row of two blocks of 4x4 pixels, five of nine samples around each: systems, op's inputs."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    guide, points, values = uniform(1, 5, 4, 8), uniform(9, 7), uniform(9, 3)
    points[:, :2] *= torch.tensor([4, 8])
    neighbors = torch.stack([torch.randperm(9, generator=generator)[:5] for _ in range(2)])
    position = torch.meshgrid(torch.arange(4.0), torch.arange(8.0), indexing="ij")
    pixels = in_blocks(torch.cat([torch.stack(position).double(), guide[0]]), 4)
    return Systems(setting, points[neighbors], pixels), guide, points, values, neighbors


def test_blocks_are_cut_row_by_row():
    picture = torch.arange(24).view(1, 4, 6)
    assert in_blocks(picture, 2)[:, :, 0].tolist()[:4] == [
        [0, 1, 6, 7],
        [2, 3, 8, 9],
        [4, 5, 10, 11],
        [12, 13, 18, 19],
    ]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.kernel)
def test_predictions_are_those_of_the_decoder(setting):
    systems, guide, points, values, neighbors = case(setting)
    wanted = local_rbf(guide, points, values, neighbors.view(1, 1, 2, 5), 4, setting.basis)
    got = systems.predict(values[neighbors])
    torch.testing.assert_close(got, in_blocks(wanted[0], 4), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.kernel)
def test_normal_equations_tell_the_error_of_any_values(setting):
    systems, _, _, values, neighbors = case(setting)
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(2, 16, 3, generator=generator, dtype=torch.float64)
    weight = torch.rand(2, 16, generator=generator, dtype=torch.float64)
    matrix, right = systems.normal_equations(target, weight)
    chosen = values[neighbors]
    got = (chosen * (matrix @ chosen - 2 * right)).sum() + (weight[..., None] * target**2).sum()
    error = (weight[..., None] * (systems.predict(chosen) - target).square()).sum()
    torch.testing.assert_close(got, error)
    torch.testing.assert_close(matrix, matrix.mT)


def test_samples_at_one_place_make_no_trouble():
    points = torch.zeros(1, 8, 7)
    systems = Systems(SETTINGS[1], points, torch.zeros(1, 4, 7))
    got = systems.predict(torch.full((1, 8, 3), 0.5))
    torch.testing.assert_close(got, torch.full((1, 4, 3), 0.5), rtol=0.02, atol=0)


def test_alike_samples_leave_the_equations_definite():
    generator = torch.Generator().manual_seed(0)
    points = 0.02 * torch.rand(8, 16, 7, generator=generator)
    points[..., :2] *= 1600
    pixels = 0.02 * torch.rand(8, 64, 7, generator=generator)
    pixels[..., :2] = points[:, :1, :2] + 8 * torch.rand(8, 64, 2, generator=generator)
    setting = LocalRBFSetting("log_gain", "exponential", 128.0, 0.2, 1e-3)
    target, weight = torch.rand(8, 64, 3, generator=generator), torch.ones(8, 64)
    matrix, _ = Systems(setting, points, pixels).normal_equations(target, weight)
    values = torch.linalg.eigvalsh(matrix.double())
    assert bool((values[:, 0] > -1e-6 * values[:, -1]).all())

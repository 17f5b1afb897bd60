import pytest
import torch

from isp_meta.frame import Frame
from isp_meta.stages import BilateralGrid, LocalToneMapping, bilateral_grid, identity_grid


def light(*size, seed=0):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed)).double()


def test_the_identity_changes_nothing():
    picture = light(2, 3, 11, 13)
    found = bilateral_grid(picture, identity_grid(2, 3, 4), picture[:, :1])
    torch.testing.assert_close(found, picture)


def test_linear_over_rows_columns_and_guide():
    """Against PyTorch's interpolation of volumes."""
    grid, picture, guide = light(3, 4, 5, 3, 4), light(3, 17, 22, seed=1), light(1, 17, 22, seed=2)
    volume = grid.permute(3, 4, 2, 0, 1).reshape(1, 12, 5, 3, 4)
    across = (torch.arange(22).double() + 0.5) / 22 * 2 - 1
    down = (torch.arange(17).double() + 0.5) / 17 * 2 - 1
    # Depth from its first cell's center to its last one's; the others from edge to edge.
    deep = (guide[0] * 4 + 0.5) / 5 * 2 - 1
    place = torch.stack([across.expand(17, -1), down[:, None].expand(-1, 22), deep], -1)
    matrix = torch.nn.functional.grid_sample(
        volume, place[None, None], padding_mode="border", align_corners=False
    ).view(3, 4, 17, 22)
    colors = torch.cat([picture, torch.ones(1, 17, 22)])
    expected = (matrix * colors).sum(1)
    torch.testing.assert_close(bilateral_grid(picture, grid, guide), expected)


def test_each_picture_its_own_grid():
    grids, pictures = light(2, 3, 2, 4, 3, 4), light(2, 3, 6, 7, seed=1)
    together = bilateral_grid(pictures, grids, pictures[:, 1:2])
    for i in range(2):
        alone = bilateral_grid(pictures[i], grids[i], pictures[i, 1:2])
        torch.testing.assert_close(together[i], alone)


def test_an_edge_in_the_guide_is_an_edge_in_the_matrix():
    grid = identity_grid(1, 1, 2)
    grid[..., 1, :, :] *= 0.5
    picture = torch.full((3, 1, 8), 0.1)
    picture[..., 4:] = 1.0
    found = bilateral_grid(picture, grid, (picture[:1] > 0.5).float())
    assert found[0, 0].tolist() == pytest.approx([0.1] * 4 + [0.5] * 4)


def test_gradients():
    grid, picture, guide = light(2, 2, 3, 3, 4), light(3, 3, 4, seed=1), light(1, 3, 4, seed=2)
    inputs = [each.requires_grad_() for each in (picture, grid, guide)]
    assert torch.autograd.gradcheck(bilateral_grid, inputs)


def test_learns_a_local_tone_curve():
    smooth = torch.nn.functional.interpolate(light(1, 3, 6, 8), (48, 64), mode="bilinear")[0]
    frame = Frame(rgb=0.02 + 0.6 * smooth.float())
    target = LocalToneMapping(0.6, shadows=1.0)(frame).rgb
    stage = BilateralGrid(identity_grid(4, 4, 6)).learn("grid")
    optimizer = torch.optim.Adam(stage.parameters(), 0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = ((stage(frame).rgb - target) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


def test_refusals_and_repr():
    with pytest.raises(ValueError, match=r"not \(1, 4, 4\)"):
        bilateral_grid(torch.zeros(1, 4, 4), identity_grid(), torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"a grid is .* not \(2, 2, 2, 3, 3\)"):
        BilateralGrid(torch.zeros(2, 2, 2, 3, 3))
    with pytest.raises(ValueError, match="one grid, and 3 weights"):
        BilateralGrid(identity_grid(), weights=[1.0])
    with pytest.raises(ValueError, match="one grid"):
        BilateralGrid(identity_grid()[None])
    with pytest.raises(ValueError, match="field must be"):
        BilateralGrid(identity_grid(), field="raw")
    assert (
        repr(BilateralGrid(identity_grid())) == "BilateralGrid(grid=8x8x8, field='rgb', clip=True)"
    )

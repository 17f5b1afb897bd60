import pytest
import torch
from torch import nn

from isp_meta.errors import PipelineFileError
from isp_meta.frame import Frame
from isp_meta.pipeline import Pipeline
from isp_meta.stages import Lut3D, cube_text, identity_lut, lut3d

KINDS = ["tetrahedral", "trilinear"]


def random_table(size=3, seed=0):
    return torch.rand(size, size, size, 3, generator=torch.Generator().manual_seed(seed)).double()


def picture(pixels=64, seed=1):
    return torch.rand(3, 1, pixels, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_changes_nothing(kind):
    colors = torch.cat([picture(), torch.tensor([0.0, 0.5, 1.0]).expand(3, 1, 3)], -1)
    torch.testing.assert_close(lut3d(colors, identity_lut(5).double(), kind), colors)


@pytest.mark.parametrize("kind", KINDS)
def test_entries_are_met(kind):
    table = random_table(4)
    axis = torch.arange(4, dtype=torch.float64) / 3
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).flatten(2)
    torch.testing.assert_close(lut3d(grid, table, kind).reshape(3, 4, 4, 4), table.movedim(-1, 0))


def test_tetrahedral_is_the_sorted_walk_along_the_axes():
    """By Kasson et al.: from the cell's corner along the axis of the largest share first."""
    table, colors = random_table(), picture()
    found = lut3d(colors, table)
    for pixel in range(colors.shape[-1]):
        place = colors[:, 0, pixel] * 2
        corner = place.long().clamp(max=1)
        share = place - corner
        total, before = 0, 1.0
        for axis in share.argsort(descending=True).tolist():
            total = total + (before - share[axis]) * table[tuple(corner.tolist())]
            before = share[axis]
            corner[axis] += 1
        total = total + before * table[tuple(corner.tolist())]
        torch.testing.assert_close(found[:, 0, pixel], total)


def test_trilinear_is_that_of_pytorch():
    table, colors = random_table(4), picture()
    # grid_sample takes x, y, z, of which x is the last axis.
    grid = (2 * colors - 1).permute(1, 2, 0).flip(-1)[None, None]
    expected = nn.functional.grid_sample(table.movedim(-1, 0)[None], grid, align_corners=True)
    torch.testing.assert_close(lut3d(colors, table, "trilinear"), expected[0, :, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_gray_stays_gray_by_tetrahedra_alone(kind):
    """A table whose grays are gray, and whose other colors are not."""
    table = random_table()
    for i in range(3):
        table[i, i, i] = table[i, i, i, 0]
    gray = lut3d(torch.linspace(0, 1, 33).double().expand(3, 1, 33), table, kind)
    spread = float((gray.amax(0) - gray.amin(0)).max())
    assert (spread < 1e-12) == (kind == "tetrahedral")


def test_a_domain_and_what_lies_outside():
    domain = ((-1.0, 0.0, 0.0), (1.0, 2.0, 1.0))
    colors = torch.tensor([[-3.0, -1.0, 0.0, 1.0], [0.0, 1.0, 2.0, 9.0], [0.5] * 4]).double()
    found = lut3d(colors[:, None], identity_lut(2).double(), domain=domain)
    assert found[:, 0].tolist() == [[0, 0, 0.5, 1], [0, 0.5, 1, 1], [0.5] * 4]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    table = random_table().requires_grad_()
    colors = picture(5).requires_grad_()
    assert torch.autograd.gradcheck(lambda c, t: lut3d(c, t, kind), (colors, table))


def test_a_table_is_learned():
    target = picture(500).float() ** 1.5
    stage = Lut3D(nn.Parameter(identity_lut(5)))
    optimizer = torch.optim.Adam(stage.parameters(), 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        loss = ((stage(Frame(srgb=picture(500).float())).srgb - target) ** 2).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3  # at first 0.012


def test_a_file_beside_the_pipelines_file(tmp_path):
    table = identity_lut(2).flip(0)
    (tmp_path / "look.cube").write_text(cube_text(table, ((0,) * 3, (2.0,) * 3)))
    path = tmp_path / "camera.toml"
    path.write_text('[[stage]]\nname = "Lut3D"\nfile = "look.cube"\n')
    (stage,) = Pipeline.from_toml(path)
    assert torch.equal(stage.table, table)
    frame = Frame(srgb=torch.full((3, 1, 1), 0.5))
    assert stage(frame).srgb.flatten().tolist() == [0.75, 0.25, 0.25]
    again = Pipeline.from_toml(Pipeline([stage]).to_toml())[0]
    assert again.file == str(tmp_path / "look.cube")
    # Once learned it is another's table, and keeps the domain.
    learned = stage.learn()
    assert learned.file is None
    assert Pipeline.from_toml(Pipeline([learned]).to_toml())(frame).srgb[0] == 0.75
    path.write_text('[[stage]]\nname = "Lut3D"\nfile = "other.cube"\n')
    with pytest.raises(PipelineFileError, match=r"camera\.toml, line 3: .*other\.cube: cannot be"):
        Pipeline.from_toml(path)


def test_rgb_keeps_light_above_white():
    stage = Lut3D(2 * identity_lut(2), field="rgb")
    assert stage(Frame(rgb=torch.full((3, 1, 1), 0.75))).rgb.flatten().tolist() == [1.5] * 3


def test_refusals_and_repr():
    with pytest.raises(ValueError, match="a table or a file"):
        Lut3D()
    with pytest.raises(ValueError, match=r"not \(2, 2, 3, 3\)"):
        Lut3D(torch.zeros(2, 2, 3, 3))
    with pytest.raises(ValueError, match=r"not \(1, 4, 4\)"):
        lut3d(torch.zeros(1, 4, 4), identity_lut(2))
    with pytest.raises(ValueError, match="begin below its end"):
        Lut3D(identity_lut(2), domain=((0, 0, 0), (1, 0, 1)))
    with pytest.raises(ValueError, match="interpolation must be"):
        Lut3D(identity_lut(2), interpolation="cubic")
    assert repr(Lut3D(identity_lut(2))) == "Lut3D(2^3, interpolation='tetrahedral', field='srgb')"

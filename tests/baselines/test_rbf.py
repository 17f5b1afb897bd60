import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator

from isp_meta.baselines import RBFReconstructor
from isp_meta.baselines.rbf import rbf_interpolate
from isp_meta.frame import Frame
from isp_meta.samples import Samples

KERNELS = ["linear", "cubic", "thin_plate_spline", "gaussian"]


def scene(height, width, count):
    """Values within (0, 1), so that nothing of the interpolation is clipped away unseen."""
    generator = torch.Generator().manual_seed(0)
    srgb = torch.rand(3, height, width, generator=generator, dtype=torch.float64)
    raw = (0.3 + 0.4 * srgb**2).float()
    index = torch.randperm(height * width, generator=generator)[:count]
    return Frame(srgb=srgb, samples=Samples.at(index, raw))


def five_dimensions(frame, position_scale):
    _, height, width = frame.srgb.shape
    rows, columns = np.mgrid[:height, :width] / position_scale
    return np.stack([rows, columns, *frame.srgb.double().numpy()]).reshape(5, -1).T


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("neighbors", [None, 12, 500])
@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.1])
def test_is_scipys_interpolator(kernel, neighbors, ridge):
    frame, position_scale = scene(14, 17, 40), 20.0
    points = five_dimensions(frame, position_scale)
    index, value = frame.samples.index.numpy(), frame.samples.value.double().numpy()
    oracle = RBFInterpolator(
        points[index],
        value,
        neighbors=neighbors if neighbors == 12 else None,
        smoothing=ridge,
        kernel=kernel,
        epsilon=1.0,
        degree=1,
    )(points)
    oracle[index] = value
    got = RBFReconstructor(neighbors, kernel, position_scale, ridge)(frame)
    expected = torch.from_numpy(oracle.T.reshape(3, 14, 17).clip(0, 1))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    # Most is interpolated, not clipped: the comparison sees the solution itself.
    assert float(((got > 0) & (got < 1)).double().mean()) > 0.9


@pytest.mark.parametrize("kernel", KERNELS)
def test_reproduces_what_is_affine(kernel):
    generator = torch.Generator().manual_seed(1)
    points, at = (torch.rand(n, 5, generator=generator, dtype=torch.float64) for n in (30, 50))
    slope = torch.rand(5, 2, generator=generator, dtype=torch.float64)
    got = rbf_interpolate(10 * points, points @ slope + 3, 10 * at, kernel, ridge=0.5)
    torch.testing.assert_close(got, at @ slope + 3, rtol=0, atol=1e-6)


def test_a_batch_is_its_systems_one_by_one():
    generator = torch.Generator().manual_seed(2)
    points = torch.rand(3, 2, 9, 5, generator=generator, dtype=torch.float64)
    values = torch.rand(3, 2, 9, 4, generator=generator, dtype=torch.float64)
    at = torch.rand(3, 2, 6, 5, generator=generator, dtype=torch.float64)
    batch = rbf_interpolate(points, values, at, "cubic", 1e-3)
    assert batch.shape == (3, 2, 6, 4)
    for i in range(3):
        for j in range(2):
            one = rbf_interpolate(points[i, j], values[i, j], at[i, j], "cubic", 1e-3)
            torch.testing.assert_close(batch[i, j], one)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("neighbors", [None, 1, 8])
def test_no_frame_breaks_it(hard_frame, kernel, neighbors):
    reconstructor = RBFReconstructor(neighbors, kernel)
    raw = reconstructor(hard_frame)
    samples = hard_frame.samples
    assert raw.shape == hard_frame.srgb.shape
    assert raw.dtype == hard_frame.srgb.dtype
    assert bool(((raw >= 0) & (raw <= 1)).all())
    assert torch.equal(raw.flatten(1)[:, samples.index], samples.value.T.to(raw))
    assert torch.equal(reconstructor(hard_frame), raw)


@pytest.mark.parametrize("neighbors", [None, 9])
def test_chunks_change_nothing(neighbors, monkeypatch):
    frame = scene(14, 17, 40)
    whole = RBFReconstructor(neighbors)(frame)
    monkeypatch.setattr(RBFReconstructor, "_CHUNK", 5)
    torch.testing.assert_close(RBFReconstructor(neighbors)(frame), whole, rtol=0, atol=1e-10)


def test_position_and_color_are_weighed_by_the_scale():
    # Two halves of one color and another raw: position alone tells them apart.
    srgb, raw = torch.full((3, 8, 32), 0.5), torch.full((3, 8, 32), 0.2)
    raw[:, :, 16:] = 0.6
    frame = Frame(srgb=srgb, samples=Samples.at(torch.arange(0, 256, 3), raw))
    error = (RBFReconstructor(8, position_scale=16)(frame) - raw).abs()
    assert float(error[:, :, :12].max()) < 0.01
    assert float(error[:, :, 20:].max()) < 0.01


@pytest.mark.parametrize(
    "argument", [{"neighbors": 0}, {"kernel": "quintic"}, {"position_scale": 0.0}, {"ridge": -1.0}]
)
def test_refuses_an_argument_out_of_range(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        RBFReconstructor(**argument)


def test_shows_its_arguments():
    shown = "RBFReconstructor(neighbors=None, kernel='cubic', position_scale=9, ridge=0.1)"
    assert repr(RBFReconstructor(None, "cubic", 9.0, 0.1)) == shown

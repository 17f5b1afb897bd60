import pytest
import torch

from isp_meta.stages.borders import extended


def mirrored(index, size):
    while not 0 <= index < size:
        index = -index if index < 0 else 2 * (size - 1) - index
    return index


@pytest.mark.parametrize("size", [2, 3, 4, 9])
@pytest.mark.parametrize(("start", "stop"), [(0, 0), (-2, 2), (-13, 13), (-1, 40), (1, 1)])
def test_lines_are_mirrored_about_the_outermost_one(size, start, stop):
    plane = torch.arange(float(size)).view(size, 1).expand(size, 3)
    wanted = [float(mirrored(i, size)) for i in range(start, size + stop)]
    assert extended(plane, -2, start, size + stop)[:, 0].tolist() == wanted
    assert extended(plane.T, -1, start, size + stop)[0].tolist() == wanted


def test_a_single_line_is_repeated():
    assert extended(torch.tensor([[7.0]]), -1, -3, 4).tolist() == [[7.0] * 7]


def test_inside_nothing_is_copied():
    plane = torch.rand(1, 6, 6)
    assert extended(plane, -2, 1, 5).data_ptr() == plane[:, 1:].data_ptr()

"""Section eNHA of docs/format.md: levels and what they make, as page and coder say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from second_reader.enhancement import PLACES, read_enhancement, read_levels

from isp_meta.codec import Enhancement

ZIGZAG = [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2)]


def test_zigzag_is_that_of_jpeg():
    assert PLACES[:8] == ZIGZAG
    assert PLACES[-3:] == [(6, 7), (7, 6), (7, 7)]


@pytest.mark.parametrize(
    ("height", "width", "exponent"),
    [(1, 1, 80), (9, 30, 60), (33, 17, 110), (530, 9, 100), (16, 24, 176)],
)
def test_page_and_coder_agree(picture, height, width, exponent):
    residual = (picture(height, width) - 0.5) * 0.8
    made = Enhancement.of(residual, exponent)
    section, recovered = made.pack(), torch.full_like(residual, 0.5)
    found = (0.5 + read_enhancement(section, height, width)).clip(0, 1)
    assert np.allclose(found, made.apply(recovered).numpy(), atol=1e-5)
    assert (read_levels(section, height, width) != 0).any() or exponent < 100

"""Section eNHA of docs/format.md: levels and what they make, as page and coder say."""

from __future__ import annotations

import numpy as np
import pytest
from second_reader.enhancement import PLACES, correct, read_levels

from isp_meta.codec import Enhancement

ZIGZAG = [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2)]


def test_zigzag_is_that_of_jpeg():
    assert PLACES[:8] == ZIGZAG
    assert PLACES[-3:] == [(6, 7), (7, 6), (7, 7)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width", "exponent", "knee"),
    [(1, 1, 80, 3), (9, 30, 60, 0), (33, 17, 110, 6), (1050, 9, 100, 3), (16, 24, 176, 15)],
)
def test_page_and_coder_agree(picture, channels, height, width, exponent, knee):
    truth = picture(height, width)[:channels]
    recovered = truth * 0.8 + 0.05
    made = Enhancement.of(Enhancement.residual(truth, recovered, knee), exponent, knee)
    section, found = made.pack(), made.apply(recovered).numpy()
    assert np.allclose(correct(section, recovered.double().numpy()), found, atol=1e-5)
    scale = 2 if channels == 1 else 1
    levels = read_levels(section, -(-height // scale), -(-width // scale))
    assert (levels != 0).any() or exponent < 100

"""Coding 2 of docs/format.md: values predicted from the picture, as page and coder say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from second_reader.payload import read

from isp_meta.codec import Steps, encode


@pytest.mark.parametrize(
    ("cell", "steps"), [(8, Steps()), (16, Steps.linear(14)), (0, Steps(7, 0)), (5, Steps(2000, 3))]
)
def test_page_and_coder_agree(cell, steps, make_payload, finished, assert_read):
    index = torch.arange(0, 48 * 66, 23) if cell == 0 else None
    payload = make_payload(48, 66, cell=cell, index=index, steps=steps)
    pixels = finished(payload)
    data = encode(payload, coding="predicted", pixels=pixels)
    assert_read(read(data, pixels.numpy().astype(np.int64)), payload)

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from isp_meta import _payload
from isp_meta.codec import Enhancement, decode, encode
from isp_meta.errors import PayloadCorrupt

SIZES = [(1, 1), (1, 9), (7, 3), (8, 8), (16, 40), (25, 31), (530, 20)]


def residual_of(height: int, width: int, size: float = 0.1, seed: int = 0) -> Tensor:
    """What a recovery may miss: much in one half, little noise elsewhere; alike in all channels."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(3, height, width, generator=generator)
    shared = torch.randn(1, height, width, generator=generator)
    residual = size * (0.02 * noise + 0.01 * shared)
    residual[:, : (height + 1) // 2] += size * torch.tensor([1.0, -0.5, 0.25]).view(3, 1, 1)
    return residual.clamp(-1, 1)


def coded(residual: Tensor, exponent: int, knee: int = 3) -> Enhancement:
    """Of what misses that at 0.5."""
    recovered = torch.full_like(residual, 0.5)
    return Enhancement.of(Enhancement.residual(0.5 + residual, recovered, knee), exponent, knee)


def mean_square(value: Tensor) -> float:
    return float(value.square().mean(dtype=torch.float64))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("exponent", [0, 80, 176])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_missed_shrinks_to_the_steps(height, width, channels, exponent):
    residual = residual_of(height, width)[:channels]
    made = coded(residual, exponent)
    left = 0.5 + residual - made.apply(torch.full_like(residual, 0.5))
    assert mean_square(left) <= 1.01 * mean_square(residual) + 1e-9
    assert left.abs().max() <= 10 * made.step
    if exponent == 176:
        assert mean_square(left) < made.step**2 / 3


@pytest.mark.parametrize("channels", [1, 3])
def test_finer_steps_cost_more_and_leave_less(channels):
    residual = residual_of(128, 128)[:channels]
    made = [coded(residual, exponent) for exponent in (72, 96, 120, 144)]
    recovered = torch.full_like(residual, 0.5)
    sizes = [m.size for m in made]
    remaining = [mean_square(0.5 + residual - m.apply(recovered)) for m in made]
    assert sizes == sorted(sizes)
    assert remaining == sorted(remaining, reverse=True)
    assert sizes[0] < sizes[-1] / 4


def test_nothing_missed_costs_next_to_nothing():
    for recovered in (torch.full((3, 512, 512), 0.25), torch.rand(1, 512, 512)):
        made = Enhancement.of(Enhancement.residual(recovered, recovered, 3), 80, 3)
        assert made.size < 210
        assert torch.equal(made.apply(recovered), recovered)


def test_steps_are_finer_in_the_dark():
    """What is missed, in parts of the noise of light, is the same at every brightness."""
    generator = torch.Generator().manual_seed(7)
    light = torch.linspace(0.02, 0.9, 512).square().expand(1, 512, 512)
    noise = 0.05 * torch.randn(1, 512, 512, generator=generator) * light.sqrt()
    for knee, least, most in ((12, 0.8, 1.25), (0, 2, 20)):
        truth = (light + noise).clamp(0, 1)
        made = Enhancement.of(Enhancement.residual(truth, light, knee), 96, knee)
        left = (truth - made.apply(light)) / light.sqrt()
        dark, bright = (part.std() for part in (left[..., 128:192], left[..., 448:]))
        assert least < float(dark / bright) < most, knee


def test_the_place_of_a_mosaic_that_is_off_is_corrected_alone():
    truth = torch.full((1, 33, 47), 0.5)
    truth[0, 1::2, ::2] = 0.6
    made = coded(truth - 0.5, 112)
    assert made.basis[:, 0].abs().tolist() == pytest.approx([0, 0, 1, 0], abs=1e-3)
    found = made.apply(torch.full_like(truth, 0.5))
    assert torch.allclose(found, truth, atol=1e-2)
    # Three of four channels are empty.
    assert made.size < 120


def test_most_is_spent_where_most_is_missed():
    generator = torch.Generator().manual_seed(1)
    flat = 0.002 * torch.randn(3, 256, 256, generator=generator)
    burnt = flat.clone()
    burnt[:, 64:128, 64:128] += 0.3 * torch.randn(3, 64, 64, generator=generator)
    assert coded(flat, 64).size < 300
    made = coded(burnt, 64)
    # Levels of σ / step = 4.8 take about 4.3 bits; the square root makes it a little less.
    assert made.size < 64 * 64 * 3 * 4.6 / 8
    assert mean_square(made.apply(torch.full_like(burnt, 0.5))[:, :60] - 0.5) < 1e-6


def test_the_result_is_raw():
    residual = torch.full((3, 16, 16), 0.5)
    assert Enhancement.of(residual, 100, 3).apply(torch.full((3, 16, 16), 0.9)).max() == 1
    assert Enhancement.of(-residual, 100, 3).apply(torch.full((3, 16, 16), 0.1)).min() == 0


def test_channels_are_those_of_the_residual():
    shared = 0.2 * torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(2))
    gray = shared.expand(3, 64, 64)
    made = Enhancement.of(gray, 96, 3)
    assert made.basis[:, 0].tolist() == pytest.approx([3**-0.5] * 3, abs=1e-3)
    assert torch.allclose(made.basis.T @ made.basis, torch.eye(3), atol=1e-3)
    # Three times the same costs hardly more than once: the other two channels are empty.
    alone = torch.cat([shared * 3**0.5, torch.zeros(2, 64, 64)])
    assert made.size < 1.02 * Enhancement.of(alone, 96, 3).size


def test_bytes_come_back_and_do_not_depend_on_threads():
    residual, before = residual_of(1100, 24), torch.get_num_threads()
    try:
        made = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            made.append(Enhancement.of(residual, 110, 3).with_share(0.3).pack())
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1]
    again = Enhancement.unpack(made[0])
    assert again.pack() == made[0]
    assert again.share == 5 / 16
    recovered = torch.full_like(residual, 0.5)
    first = Enhancement.of(residual, 110, 3).apply(recovered)
    assert torch.equal(again.apply(recovered), first)


def test_a_block_is_corrected_the_same_whatever_lies_beside_it():
    """Blocks that hold nothing are passed over."""
    generator = torch.Generator().manual_seed(6)
    residual = 0.1 * torch.randn(3, 83, 141, generator=generator)
    recovered = torch.rand(3, 83, 141, generator=generator)
    whole = Enhancement.of(residual, 100, 0)
    levels = _payload.decode_enhancement(whole.data, 11, 18, 3, 1)
    kept = np.zeros_like(levels)
    kept[[2, 10], [5, 17]] = levels[[2, 10], [5, 17]]
    few = replace(whole, data=_payload.encode_enhancement(kept, 1))
    found, every = few.apply(recovered), whole.apply(recovered)
    for square in (np.s_[:, 16:24, 40:48], np.s_[:, 80:, 136:]):
        assert torch.equal(found[square], every[square])
        assert not torch.equal(found[square], recovered[square])
        found[square] = recovered[square]
    assert torch.equal(found, recovered)


@pytest.mark.parametrize("kind", ["noise", "zeros", "most", "least", "sparse"])
@pytest.mark.parametrize(
    ("rows", "columns", "channels"), [(1, 1, 3), (1, 5, 4), (3, 1, 1), (65, 2, 4), (130, 3, 2)]
)
def test_any_levels_come_back(kind, rows, columns, channels):
    generator = np.random.default_rng(4)
    shape = (rows, columns, channels, 64)
    levels = {
        "noise": generator.integers(-32767, 32768, shape),
        "zeros": np.zeros(shape),
        "most": np.full(shape, 32767),
        "least": np.full(shape, -32767),
        "sparse": (generator.random(shape) < 0.01) * generator.integers(-20, 21, shape),
    }[kind].astype(np.int16)
    data = _payload.encode_enhancement(levels, 2)
    assert (_payload.decode_enhancement(data, rows, columns, channels, 2) == levels).all()
    if kind == "zeros":
        assert len(data) < 16 + levels.size // 200 + 16 * (1 + rows // 64)


def test_damage_is_an_error_or_another_correction():
    made = Enhancement.of(residual_of(40, 56), 100, 3)
    generator = np.random.default_rng(5)
    recovered, refused = torch.full((3, 40, 56), 0.5), 0
    for _ in range(300):
        data = bytearray(made.data)
        if generator.random() < 0.3:
            del data[generator.integers(len(data)) :]
        else:
            data[generator.integers(len(data))] = generator.integers(256)
        try:
            result = dataclasses.replace(made, data=bytes(data)).apply(recovered)
            assert result.min() >= 0
            assert result.max() <= 1
        except PayloadCorrupt:
            refused += 1
    assert refused > 50


def test_another_size_is_refused():
    made = Enhancement.of(residual_of(1100, 64), 100, 3)
    with pytest.raises(PayloadCorrupt, match="enhancement"):
        made.apply(torch.zeros(3, 64, 64))
    with pytest.raises(PayloadCorrupt, match="enhancement"):
        dataclasses.replace(made, data=made.data + b"\0").apply(torch.zeros(3, 1100, 64))


def test_another_kind_is_refused():
    with pytest.raises(PayloadCorrupt, match="mosaic"):
        Enhancement.of(residual_of(16, 16), 100, 3).apply(torch.zeros(1, 32, 32))
    with pytest.raises(PayloadCorrupt, match="mosaic"):
        Enhancement.of(torch.zeros(4, 8, 8), 100, 3).apply(torch.zeros(3, 16, 16))


@pytest.mark.parametrize(
    "head",
    [
        bytes([177, 3, 3, 16]) + bytes(20),
        bytes([80, 16, 3, 16]) + bytes(20),
        bytes([80, 3, 2, 16]) + bytes(20),
        bytes([80, 3, 3, 17]) + bytes(20),
        bytes([80, 3, 3, 16, 0, 0]) + b"\x7f\xff" * 9,
        bytes([80, 3, 4, 16, 0, 0]) + bytes(31),
        bytes(2),
        b"",
    ],
)
def test_a_head_that_nobody_writes_is_refused(head):
    with pytest.raises(PayloadCorrupt, match="eNHA"):
        Enhancement.unpack(head)


@pytest.mark.parametrize("exponent", [-1, 177])
def test_steps_out_of_range_are_errors(exponent):
    with pytest.raises(ValueError, match="0 to 176"):
        Enhancement.of(torch.zeros(3, 8, 8), exponent, 3)


@pytest.mark.parametrize("knee", [-1, 16])
def test_knees_out_of_range_are_errors(knee):
    with pytest.raises(ValueError, match="0 to 15"):
        Enhancement.residual(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8), knee)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 0, 8)])
def test_other_shapes_are_errors(shape):
    with pytest.raises(ValueError, match="residual must be"):
        Enhancement.of(torch.zeros(shape), 80, 3)


@pytest.mark.parametrize(
    ("shape", "other"), [((8, 8), (8, 8)), ((4, 8, 8), (4, 8, 8)), ((3, 8, 8), (3, 8, 9))]
)
def test_other_pictures_are_errors(shape, other):
    with pytest.raises(ValueError, match="raw must be"):
        Enhancement.residual(torch.zeros(shape), torch.zeros(other), 3)


def test_exponents_of_steps():
    assert Enhancement.exponent_of(1) == 0
    assert Enhancement.exponent_of(1 / 32) == 80
    assert Enhancement.exponent_of(2**-11) == 176
    for step in (1.1, 0.0, 2**-11.1, math.nan):
        with pytest.raises(ValueError, match="step"):
            Enhancement.exponent_of(step)


def test_a_payload_brings_it(make_payload):
    payload = make_payload()
    height, width = payload.samples.height, payload.samples.width
    made = Enhancement.of(residual_of(height, width), 90, 3)
    data = encode(dataclasses.replace(payload, enhancement=made))
    assert len(data) == len(encode(payload)) + made.size
    found = decode(data).enhancement
    assert found is not None
    assert found.pack() == made.pack()
    assert decode(encode(payload)).enhancement is None

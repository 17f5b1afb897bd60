"""Section fILT: weights as stored, what is refused, and what page and operator make of it."""

from __future__ import annotations

import dataclasses
import struct

import golden
import numpy as np
import pytest
import torch
from second_reader.filter import apply_filter, read_filter

from isp_meta import _payload
from isp_meta.codec import AdaptiveFilter, decode, encode
from isp_meta.errors import PayloadCorrupt
from isp_meta.ops.adaptive_filter import FILTER_FEATURES, FILTER_KINDS

WHOLE = golden.adaptive_filter()


def test_features_and_kinds_are_the_operators():
    assert WHOLE.levels.shape == (4, FILTER_KINDS, 1, FILTER_FEATURES)


@pytest.mark.parametrize("cfa", ["", "BGGR", "GRBG"])
@pytest.mark.parametrize("kinds", [1, 6])
def test_page_and_operator_agree(picture, cfa, kinds):
    srgb = picture(9, 14)
    raw = srgb.square() * 0.9
    levels = golden.adaptive_filter(cfa).levels[:, :kinds]
    made = AdaptiveFilter(levels, (9, 11), 300, 30, cfa)
    assert made.sets == (4 if cfa else 1) * kinds
    found = read_filter(made.pack(), cfa)
    assert np.array_equal(found["weights"], made.weights)
    wanted = apply_filter(found, *(t.double().permute(1, 2, 0).numpy() for t in (raw, srgb)))
    filtered = made.apply(raw, srgb, cfa)
    assert np.allclose(filtered.permute(1, 2, 0).numpy(), wanted, atol=1e-4)
    assert float((filtered - raw).abs().max()) > 0.01


def test_of_a_mosaic_own_colors_alone_are_filtered(picture):
    srgb = picture(8, 8)
    raw = srgb.square() * 0.9
    changed = (WHOLE.apply(raw, srgb, "BGGR") - raw).abs() > 1e-6
    own = torch.zeros_like(changed)
    own[2, ::2, ::2] = own[1, ::2, 1::2] = own[1, 1::2, ::2] = own[0, 1::2, 1::2] = True
    assert changed.any()
    assert not (changed & ~own).any()


def test_of_another_mosaic_it_is_refused(picture):
    for cfa in ("", "RGGB"):
        with pytest.raises(PayloadCorrupt, match="mosaic"):
            WHOLE.apply(picture(8, 8), picture(8, 8), cfa)


@pytest.mark.parametrize("largest", [0, 1, 40, 32767])
@pytest.mark.parametrize("cfa", ["", "GBRG"])
def test_any_weights_come_back(largest, cfa):
    shape = (4, 6, 1, 72) if cfa else (1, 6, 3, 72)
    levels = np.random.default_rng(largest).integers(-largest, largest + 1, shape, np.int16)
    made = AdaptiveFilter(levels, (0, 15), 765, 0, cfa)
    found = AdaptiveFilter.unpack(made.pack(), cfa or "RGB")
    assert np.array_equal(found.levels, levels)
    assert (found.exponents, found.bright, found.active, found.cfa) == ((0, 15), 765, 0, cfa)
    assert made.size == len(made.pack()) + 12


def test_a_threshold_is_no_sum_of_colors():
    sums = torch.arange(766) / 255
    for stored in (0, 300, 765):
        assert float((sums - AdaptiveFilter.threshold(stored)).abs().min()) > 1 / 600


def test_a_payload_holds_it_and_others_know_nothing_of_it():
    whole = golden.golden()
    kept = dataclasses.replace(whole, adaptive_filter=WHOLE)
    assert decode(encode(kept)).adaptive_filter.pack() == WHOLE.pack()
    assert kept.rounded().adaptive_filter.pack() == WHOLE.pack()
    assert decode(encode(whole)).adaptive_filter is None
    assert len(encode(kept)) - len(encode(whole)) == WHOLE.size


def sealed(shape: int = 3, exponents: tuple[int, int] = (9, 11), bright: int = 0) -> bytes:
    colors = np.repeat(np.array([2, 1, 1, 0], np.uint8), 6)
    coded = _payload.encode_filter(np.zeros((24, 72), np.int16), colors, 1)
    return struct.pack(">BBBHH", shape, *exponents, bright, 0) + coded


@pytest.mark.parametrize(
    ("section", "text"),
    [
        (b"", "fILT"),
        (sealed()[:7], "damaged"),
        (sealed()[:-1], "damaged"),
        (sealed() + b"\0", "damaged"),
        (sealed(shape=4), "no writer"),
        (sealed(exponents=(16, 0)), "exponents"),
        (sealed(bright=766), "thresholds"),
        (sealed(shape=0), "damaged"),
    ],
)
def test_damage_is_refused(section, text):
    with pytest.raises(PayloadCorrupt, match=text):
        AdaptiveFilter.unpack(section, "BGGR")


def test_a_mosaic_that_the_camera_does_not_have_is_refused():
    with pytest.raises(PayloadCorrupt, match="no writer"):
        AdaptiveFilter.unpack(sealed(), "W")


@pytest.mark.parametrize(
    "changes",
    [
        {"levels": WHOLE.levels[:2]},
        {"levels": WHOLE.levels[:, :2]},
        {"levels": WHOLE.levels[..., 1:]},
        {"levels": WHOLE.levels.astype(float)},
        {"levels": np.full((4, 1, 1, 72), -32768, np.int16)},
        {"cfa": ""},
        {"cfa": "RGB"},
        {"exponents": (0, 16)},
        {"active": -1},
    ],
)
def test_what_the_format_cannot_hold_is_refused(changes):
    with pytest.raises(ValueError, match="must be"):
        dataclasses.replace(WHOLE, **changes)


@pytest.mark.parametrize("shape", [(25, 72), (2, 72), (1, 71), (1, 3, 72)])
def test_the_coder_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="levels must be"):
        _payload.encode_filter(np.zeros(shape, np.int16), np.zeros(1, np.uint8), 1)


@pytest.mark.parametrize(("colors", "before"), [([], 1), ([0] * 25, 1), ([3], 1), ([0], 0)])
def test_the_coder_refuses_other_rows(colors, before):
    with pytest.raises(ValueError, match="1 to 24"):
        _payload.decode_filter(b"\0\0\0\0", np.array(colors, np.uint8), before)

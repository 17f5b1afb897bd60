from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from isp_meta import _payload
from isp_meta.camera import QUAD_BAYER, XTRANS
from isp_meta.codec import Mosaic, decode, encode
from isp_meta.errors import PayloadCorrupt
from isp_meta.io import remosaic


def mosaic_of(picture: Tensor, white: int = 4095, black: int = 256) -> Tensor:
    """(1, H, W) codes of an RGGB sensor that saw (3, H, W)."""
    _, height, width = picture.shape
    y, x = torch.meshgrid(torch.arange(height) % 2, torch.arange(width) % 2, indexing="ij")
    chosen = picture.gather(0, (y + x)[None])
    return (black + chosen * (white - black)).round()


def finished(picture: Tensor) -> Tensor:
    return (picture.sqrt() * 255).round().to(torch.uint8)


def guided(codes: Tensor, pixels: Tensor) -> Mosaic:
    return Mosaic.of(codes, "RGGB", pixels=pixels)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 7), (9, 1), (2, 2), (3, 5), (64, 64), (250, 31), (481, 20)]
)
def test_every_size_comes_back(picture, height, width):
    image = picture(height, width)
    codes, pixels = mosaic_of(image), finished(image)
    beside = guided(codes, pixels)
    assert torch.equal(beside.codes(height, width, pixels=pixels), codes)
    alone = Mosaic.of(codes, "RGGB")
    assert torch.equal(alone.codes(height, width), codes)


@pytest.mark.parametrize("cfa", ["W", "RGB", "BGGR", "RGB" * 3, QUAD_BAYER, XTRANS, "RGGB" * 16])
def test_other_patterns_come_back(picture, cfa):
    image = picture(250, 50)
    pixels = finished(image)
    codes = (256 + image * 3839).round() if cfa == "RGB" else mosaic_of(image)
    for guide in (pixels, None):
        mosaic = Mosaic.of(codes, cfa, pixels=guide)
        assert torch.equal(mosaic.codes(250, 50, pixels=pixels), codes)
        assert Mosaic.unpack(mosaic.pack(), cfa) == mosaic


@pytest.mark.parametrize("cfa", ["RGGB", QUAD_BAYER, XTRANS])
def test_every_place_is_predicted_as_its_color(picture, cfa):
    """A pattern that is told costs less than one that is not, and no more than Bayer's does."""
    image = picture(512, 512)
    codes, pixels = (256 + remosaic(image, cfa) * 3839).round(), finished(image)
    told = Mosaic.of(codes, cfa, pixels=pixels)
    of_bayer = guided((256 + remosaic(image, "RGGB") * 3839).round(), pixels)
    assert len(told.data) < 0.7 * len(Mosaic.of(codes, "W", pixels=pixels).data)
    assert len(told.data) < 1.02 * len(of_bayer.data) + len(cfa) * 8 * 54 * 2


@pytest.mark.parametrize("kind", ["noise", "zeros", "most", "ends", "sparse"])
def test_any_codes_come_back(kind):
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(0, 65536, (1, 60, 83), generator=generator).float()
    if kind in ("zeros", "most"):
        codes = torch.full_like(codes, 0.0 if kind == "zeros" else 65535.0)
    elif kind == "ends":
        codes = (codes > 30000) * 65535.0
    elif kind == "sparse":
        codes = (codes / 1000).floor() * 977
    pixels = torch.randint(0, 256, (3, 60, 83), generator=generator, dtype=torch.uint8)
    for guide in (pixels, None):
        mosaic = Mosaic.of(codes, "GRBG", pixels=guide)
        assert torch.equal(mosaic.codes(60, 83, pixels=pixels), codes)
        assert kind == "noise" or len(mosaic.data) < 60 * 83 * 2 + 6000


def test_picture_saves_a_third_where_noise_is_seen_in_it(picture):
    image = picture(512, 512)
    codes, pixels = mosaic_of(image), finished(image)
    beside, alone = guided(codes, pixels), Mosaic.of(codes, "RGGB")
    assert len(beside.data) < 0.67 * len(alone.data)
    assert len(alone.data) < 512 * 512 * 8.5 / 8


def test_sparse_codes_cost_what_their_ranks_cost(picture):
    ranks = mosaic_of(picture(256, 256), 1023, 64)
    sparse = ranks * 16 + 5
    assert len(Mosaic.of(sparse, "RGGB").data) < len(Mosaic.of(ranks, "RGGB").data) + 2000


def test_threads_change_no_byte(picture):
    image = picture(500, 64)
    codes, pixels = mosaic_of(image)[0].numpy().astype(np.uint16), finished(image).numpy()
    made = {_payload.encode_mosaic(codes, "RGGB", 2, pixels, n) for n in (1, 2, 3, 16, 0)}
    assert len(made) == 1
    for threads in (1, 2, 16):
        back = _payload.decode_mosaic(made.copy().pop(), 500, 64, "RGGB", 2, pixels, threads)
        assert np.array_equal(back, codes)


def test_other_pixels_are_noticed(picture):
    image = picture(96, 130)
    codes, pixels = mosaic_of(image), finished(image)
    mosaic = guided(codes, pixels)
    other = pixels.clone()
    other[1, 40, 40] += 9
    with pytest.raises(PayloadCorrupt, match="mosaic is damaged"):
        mosaic.codes(96, 130, pixels=other)
    with pytest.raises(ValueError, match="needs the pixels"):
        mosaic.codes(96, 130)


@pytest.mark.parametrize("value", [-1.0, 0.5, 65536.0, float("nan")])
def test_codes_that_are_not_whole_are_refused(value):
    with pytest.raises(ValueError, match="whole codes"):
        Mosaic.of(torch.full((1, 4, 4), value), "RGGB")


@pytest.mark.parametrize(
    ("shape", "cfa", "text"),
    [
        ((4, 4), "RGGB", "must be"),
        ((3, 4, 4), "RGGB", "must be"),
        ((1, 4, 4), "RGB", "must be"),
        ((3, 4, 4), "W", "must be"),
        ((1, 4, 4), "", "cfa"),
        ((1, 4, 4), "RGXB", "cfa"),
        ((1, 0, 4), "RGGB", "out of range"),
    ],
)
def test_other_shapes_and_patterns_are_refused(shape, cfa, text):
    with pytest.raises(ValueError, match=text):
        Mosaic.of(torch.zeros(shape), cfa)


@pytest.mark.parametrize(
    ("colors", "columns", "text"),
    [
        ("RGGB", 3, "1 to 8 rows"),
        ("", 1, "1 to 8 rows"),
        ("G" * 81, 9, "1 to 8 rows"),
        ("RGXB", 2, "colors RGB"),
    ],
)
def test_the_coder_refuses_other_patterns(colors, columns, text):
    codes, none = np.zeros((4, 4), np.uint16), np.zeros((0, 0, 0), np.uint8)
    with pytest.raises(ValueError, match=text):
        _payload.encode_mosaic(codes, colors, columns, none, 1)


def test_guide_must_be_of_the_mosaic(picture):
    codes, pixels = mosaic_of(picture(32, 32)), finished(picture(32, 32))
    with pytest.raises(ValueError, match="uint8"):
        Mosaic.of(codes, "RGGB", pixels=pixels.float())
    with pytest.raises(ValueError, match="of the mosaic's size"):
        Mosaic.of(codes, "RGGB", pixels=pixels[:, :-2].contiguous())


def test_travels_in_a_payload(make_payload, picture, assert_same):
    image = picture(96, 130)
    mosaic = guided(mosaic_of(image), finished(image))
    payload = make_payload()
    payload = dataclasses.replace(payload, camera=payload.camera.replace(cfa="RGGB"))
    data = encode(dataclasses.replace(payload, mosaic=mosaic))
    decoded = decode(data)
    assert decoded.mosaic == mosaic
    assert_same(decoded, payload)
    assert encode(decoded) == data
    assert len(data) == len(encode(payload)) + 12 + len(mosaic.pack())


def test_wrong_heads_are_refused(picture):
    data = Mosaic.of(mosaic_of(picture(8, 8)), "RGGB").pack()
    with pytest.raises(PayloadCorrupt, match="unknown mode"):
        Mosaic.unpack(b"\2" + data[1:], "RGGB")
    with pytest.raises(PayloadCorrupt, match="early"):
        Mosaic.unpack(data[:4], "RGGB")


def test_a_payload_has_one_pattern(picture, make_payload):
    payload = make_payload()
    with pytest.raises(ValueError, match="RGGB is none of GRBG"):
        dataclasses.replace(payload, mosaic=Mosaic.of(torch.zeros(1, 96, 130), "RGGB"))


def test_too_little_data_is_refused_before_anything_is_allocated():
    empty = Mosaic(b"\0" * 5000, False, "RGGB", 0)
    with pytest.raises(PayloadCorrupt, match="too short"):
        empty.codes(2**15, 2**16)


def test_truncation_and_forged_bytes_raise_nothing_but_our_error(picture):
    image = picture(48, 40)
    codes, pixels = mosaic_of(image), finished(image)
    generator = np.random.default_rng(5)
    for mosaic in (guided(codes, pixels), Mosaic.of(codes, "RGGB")):
        for round_ in range(400):
            data = bytearray(mosaic.data)
            # The lengths and the model, and then anything.
            end = 300 if round_ % 2 else len(data)
            for place in generator.integers(0, end, generator.integers(1, 4)):
                data[place] = generator.integers(0, 256)
            if round_ % 10 == 0:
                data = data[: generator.integers(0, len(data))]
            if data == mosaic.data:
                continue
            with pytest.raises(PayloadCorrupt, match="mosaic is damaged"):
                dataclasses.replace(mosaic, data=bytes(data)).codes(48, 40, pixels=pixels)

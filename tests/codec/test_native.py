from __future__ import annotations

import ast
import concurrent.futures
from pathlib import Path

import numpy as np
import pytest

import isp_meta
from isp_meta import _payload

INDEX = np.array([3, 9, 20], dtype=np.int64)
PIXELS = np.zeros((3, 10, 10), dtype=np.uint8)
VALUES = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=np.uint16)


def test_stub_names_what_the_module_has():
    tree = ast.parse(Path(isp_meta.__file__).with_name("_payload.pyi").read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    constants = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    native = {name for name in vars(_payload) if not name.startswith("_")}
    assert native == {*functions, *constants, "CorruptStream"}
    for name, node in functions.items():
        signature = getattr(_payload, name).__doc__.splitlines()[0]
        for argument in node.args.args:
            assert f"{argument.arg}:" in signature, name
        assert signature.count(":") == len(node.args.args), name


def test_corrupt_stream_is_a_value_error():
    assert issubclass(_payload.CorruptStream, ValueError)


@pytest.mark.parametrize(
    "index",
    [[-1, 3], [3, 3], [5, 3], [3, 100]],
)
def test_wrong_index_is_refused(index):
    index = np.array(index, dtype=np.int64)
    values = np.zeros((len(index), 3), dtype=np.uint16)
    with pytest.raises(ValueError, match="index"):
        _payload.encode_positions(index, 10, 10, 0, False)
    with pytest.raises(ValueError, match="index"):
        _payload.encode_values(values, index, 10, 10, 0, 16383)
    with pytest.raises(ValueError, match="index"):
        _payload.decode_values(b"\x00" * 9, index, 10, 10, 0, 16383)


@pytest.mark.parametrize(
    ("height", "width", "cell"),
    [(0, 10, 0), (10, 0, 0), (10, 10, -1), (2**21, 1, 0), (2**20, 2**12, 0), (10, 10, 2**21)],
)
def test_wrong_picture_is_refused(height, width, cell):
    with pytest.raises(ValueError, match="out of range"):
        _payload.encode_positions(INDEX, height, width, cell, False)
    with pytest.raises(ValueError, match="out of range"):
        _payload.decode_positions(b"", height, width, cell, 1)


def test_wrong_counts_are_refused():
    for count in (-1, 101, 2**40):
        with pytest.raises(ValueError, match="count out of range"):
            _payload.decode_positions(b"\x02\x00\x00\x00\x00", 10, 10, 0, count)
    with pytest.raises(ValueError, match=r"values must be \(N, 3\)"):
        _payload.encode_values(VALUES[:2], INDEX, 10, 10, 0, 16383)
    with pytest.raises(ValueError, match="count out of range"):
        _payload.unpack(b"", -1, 8)


def test_values_must_fit():
    for call in (
        lambda: _payload.encode_values(VALUES, INDEX, 10, 10, 0, 8),
        lambda: _payload.encode_predicted(VALUES, INDEX, PIXELS, 0, 8),
    ):
        with pytest.raises(ValueError, match="above most"):
            call()
    with pytest.raises(ValueError, match="needs more bits"):
        _payload.pack(VALUES * 40, 8)
    with pytest.raises(ValueError, match="bits must be"):
        _payload.pack(VALUES, 17)
    for most in (0, 65536):
        with pytest.raises(ValueError, match="most must be"):
            _payload.encode_values(VALUES, INDEX, 10, 10, 0, most)


@pytest.mark.parametrize("shape", [(10, 10), (1, 10, 10), (4, 10, 10), (3, 0, 10), (3, 2, 5)])
def test_pixels_must_fit(shape):
    pixels = np.zeros(shape, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"pixels must be|out of range"):
        _payload.encode_predicted(VALUES, INDEX, pixels, 0, 255)
    with pytest.raises(ValueError, match=r"pixels must be|out of range"):
        _payload.decode_predicted(b"0000", INDEX, pixels, 0, 255)


def test_arrays_are_never_converted_silently():
    with pytest.raises(TypeError):
        _payload.encode_positions(INDEX.astype(np.int32), 10, 10, 0, False)
    with pytest.raises(TypeError):
        _payload.encode_values(VALUES.astype(np.float32), INDEX, 10, 10, 0, 16383)
    with pytest.raises(TypeError):
        _payload.encode_positions(np.arange(20)[::2], 10, 10, 0, False)


@pytest.mark.parametrize("width", range(1, 17))
def test_packing_round_trip(width):
    values = (np.arange(101, dtype=np.uint16) * 977) & ((1 << width) - 1)
    data = _payload.pack(values, width)
    assert len(data) == (101 * width + 7) // 8
    assert np.array_equal(_payload.unpack(data, 101, width), values)
    for wrong in (data[:-1], data + b"\x00"):
        with pytest.raises(_payload.CorruptStream, match="length"):
            _payload.unpack(wrong, 101, width)


def test_packed_filling_must_be_zero():
    with pytest.raises(_payload.CorruptStream, match="end"):
        _payload.unpack(b"\xff", 1, 5)


def test_few_bytes_cannot_ask_for_many_samples():
    for mode in range(4):
        with pytest.raises(_payload.CorruptStream):
            _payload.decode_positions(bytes((mode, 0, 0, 0, 0)), 2**13, 2**13, 0, 2**25)


def test_threads_share_nothing():
    def round_trip(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        index = np.flatnonzero(rng.random(200 * 200) < 0.1)
        values = rng.integers(0, 1 << 14, (len(index), 3), dtype=np.uint16)
        positions = _payload.encode_positions(index, 200, 200, 8, False)
        coded = _payload.encode_values(values, index, 200, 200, 8, 16383)
        found = _payload.decode_positions(positions, 200, 200, 8, len(index))
        again = _payload.decode_values(coded, found, 200, 200, 8, 16383)
        pixels = rng.integers(0, 256, (3, 200, 200), dtype=np.uint8)
        predicted = _payload.encode_predicted(values, index, pixels, 8, 16383)
        more = _payload.decode_predicted(predicted, found, pixels, 8, 16383)
        return all(map(np.array_equal, (found, again, more), (index, values, values)))

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert all(pool.map(round_trip, range(16)))

"""LibRaw: what it does not decode never passes, and it says nothing."""

from __future__ import annotations

import ctypes
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import maker_files
import numpy as np
import pytest
import rawpy

from isp_meta.errors import IspMetaError, RawFileDamaged, RawFileUnsupported
from isp_meta.io import libraw
from isp_meta.io.signatures import what_is

SCENE = maker_files.scene()
JPEG = maker_files.lossless_jpeg(SCENE)
# Each with a part that LibRaw does not decode, though the file has all its bytes.
UNDECODABLE: dict[str, bytes] = {
    "no JPEG": maker_files.cr2(SCENE, b"\x11" * len(JPEG)),
    "a JPEG of half the rows": maker_files.cr2(SCENE, maker_files.lossless_jpeg(SCENE[:48])),
    "half of the codes": maker_files.raw_tiff(SCENE, data=SCENE[:48].tobytes()),
}


def unpack(data: bytes, name: str = "a") -> libraw.Unpacked:
    return libraw.unpack(data, what_is(data), name)


def test_codes_are_those_of_the_file() -> None:
    for data in (
        maker_files.raw_tiff(SCENE),
        maker_files.cr2(SCENE),
        maker_files.raf(SCENE, model="X-A1", x_trans=False, black=(1022,) * 4),
    ):
        found = unpack(data, "a")
        np.testing.assert_array_equal(found.codes, SCENE)
        assert "".join(found.letters[i] for i in found.pattern.ravel()) == "RGGB"


@pytest.mark.parametrize("kind", UNDECODABLE)
def test_what_is_not_decoded_is_refused(kind: str) -> None:
    with pytest.raises(RawFileDamaged, match=r"a\.nef: (damaged|cut off): "):
        unpack(UNDECODABLE[kind], "a.nef")


def test_libraw_alone_would_take_them() -> None:
    """Else the tests here would show nothing: LibRaw gives what memory held."""
    for kind in ("no JPEG", "a JPEG of half the rows"):
        with rawpy.imread(BytesIO(UNDECODABLE[kind])) as raw:
            assert raw.raw_image.shape == SCENE.shape


def test_the_first_row_and_the_number_are_told() -> None:
    data = UNDECODABLE["a JPEG of half the rows"]
    text = f"{SCENE.size // 2} of {SCENE.size} photosites .* row 48 of 96"
    with pytest.raises(RawFileDamaged, match=text):
        unpack(data, "a.cr2")


def times_decoded(data: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    calls = []
    decode = libraw._unpack

    def counted(data: bytes, name: object, poison: int) -> tuple[libraw.Unpacked, bool]:
        calls.append(poison)
        return decode(data, name, poison)

    monkeypatch.setattr(libraw, "_unpack", counted)
    unpack(data)
    assert len(set(calls)) == len(calls)
    return len(calls)


def test_compressed_files_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert times_decoded(maker_files.cr2(SCENE), monkeypatch) == 1


def test_uncompressed_files_are_decoded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert times_decoded(maker_files.raw_tiff(SCENE), monkeypatch) == 2


def test_a_code_that_is_the_value_in_memory_is_decoded_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = SCENE.copy()
    codes[3, 4] = 0x0505
    monkeypatch.setattr(libraw, "_POISONS", (0x05, 0x55))
    assert times_decoded(maker_files.cr2(codes), monkeypatch) == 2


def test_threads_do_not_disturb_each_other() -> None:
    good = {number: maker_files.scene(low=600 + 100 * number) for number in range(20)}
    files = {number: maker_files.cr2(codes) for number, codes in good.items()}

    def right(number: int) -> bool:
        if number % 2:
            with pytest.raises(RawFileDamaged):
                unpack(list(UNDECODABLE.values())[number % 3], "a")
            return True
        return bool((unpack(files[number], "a").codes == good[number]).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, good))


def test_memory_is_as_before_afterwards() -> None:
    unpack(maker_files.raw_tiff(SCENE), "a")
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    size, middle = 1 << 16, 1 << 15
    first = libc.malloc(size)
    ctypes.memset(first, 0x11, size)
    libc.free(first)
    again = libc.malloc(size)
    found = ctypes.string_at(again + middle, 1)[0]
    libc.free(again)
    poisons = {byte ^ other for byte in libraw._POISONS for other in (0, 0xFF)}
    assert found not in poisons


def test_memory_that_cannot_be_poisoned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraw, "_poison_works", lambda: False)
    with pytest.raises(RawFileUnsupported, match="LD_PRELOAD"):
        unpack(maker_files.raw_tiff(SCENE), "a")


def test_memory_is_known_to_be_poisoned() -> None:
    libraw._poison_works.cache_clear()
    assert libraw._poison_works()


def test_libraw_writes_nothing_to_stderr(tmp_path: Path) -> None:
    """While it reports wrong data; what others write there arrives."""
    path = tmp_path / "a.nef"
    path.write_bytes(UNDECODABLE["half of the codes"])
    script = f"""
import ctypes, os, sys, subprocess
sys.path.insert(0, {str(Path(libraw.__file__).parents[2])!r})
from isp_meta.io import libraw
from isp_meta.io.signatures import what_is
data = open({str(path)!r}, "rb").read()
unpack = libraw._unpack
def and_others(*arguments):
    with libraw._silence():
        os.write(2, b"from Python\\n")
        subprocess.run(["sh", "-c", "echo from a child >&2"])
    return unpack(*arguments)
libraw._unpack = and_others
try:
    libraw.unpack(data, "TIFF", "a.nef")
except Exception as error:
    print(type(error).__name__, error)
libc = ctypes.CDLL(None)
libc.fputs(b"from C, afterwards\\n", ctypes.c_void_p.in_dll(libc, "stderr"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "RawFileDamaged a.nef: cut off" in done.stdout
    lines = done.stderr.splitlines()
    assert lines == ["from Python", "from a child", "from C, afterwards"]


def test_where_the_data_are_wrong_is_told() -> None:
    codes = SCENE.copy()
    codes[50, 60] = 0xFFFF  # beyond 14 bits
    data = maker_files.raw_tiff(codes, "PENTAX", "PENTAX K-1")
    with pytest.raises(RawFileDamaged, match=f"at byte [0-9]+ of {len(data)}"):
        unpack(data, "a.pef")


def test_hostile_bytes_raise_only_our_error() -> None:
    generator = random.Random(0)
    sources = [maker_files.raw_tiff(SCENE), maker_files.cr2(SCENE), maker_files.raf(SCENE)]
    refused = 0
    for number in range(150):
        damaged = bytearray(sources[number % 3])
        for _ in range(generator.randint(1, 5)):
            damaged[generator.randrange(600)] = generator.choice((0, 255, generator.randrange(256)))
        try:
            unpack(bytes(damaged), "a")
        except (IspMetaError, rawpy.LibRawFileUnsupportedError):
            refused += 1
    assert refused > 10

from __future__ import annotations

import json
import os
import shutil

from PIL import Image

from isp_meta import CaptureOptions, embed
from isp_meta.carriers import jpeg as jpeg_carrier
from isp_meta.carriers.sidecar import sidecar_path

from .test_recover import edited


def test_exact(run, photo, count):
    result = run("verify", photo)
    assert (result.code, result.lines) == (0, [])
    assert result.out == f"{photo}: exact, {count} samples in {photo}\n"


def test_sidecar_is_named(run, photo):
    whole = photo.read_bytes()
    sidecar_path(photo).write_bytes(jpeg_carrier.extract(whole))
    photo.write_bytes(jpeg_carrier.strip(whole))
    assert run("verify", photo).out.endswith(f"in {photo}.ispmeta\n")


def test_absent(run, photo):
    photo.write_bytes(jpeg_carrier.strip(photo.read_bytes()))
    assert run("verify", photo).failed(3, f"{photo}: the JPEG file carries no raw metadata")


def test_corrupt(run, photo):
    whole = bytearray(photo.read_bytes())
    whole[whole.index(b"\x89ISPM") + 300] ^= 1
    photo.write_bytes(whole)
    assert run("verify", photo).failed(4, f"{photo}: ", "damaged")


def test_cut_off_is_corrupt(run, photo):
    whole = photo.read_bytes()
    for length in (0, 1, 2, 100, 1000, len(whole) // 2, len(whole) - 2):
        photo.write_bytes(whole[:length])
        assert run("verify", photo).failed(4, f"{photo}: ")


def test_changed_under_predicted_values(run, raw):
    embed(raw, raw.with_suffix(".jpg"), CaptureOptions(coding="predicted"))
    photo = raw.with_suffix(".jpg")
    assert run("verify", photo).code == 0
    pristine = photo.read_bytes()
    with Image.open(photo) as picture:
        picture.load()
    picture.save(photo, quality=85)
    photo.write_bytes(jpeg_carrier.insert(photo.read_bytes(), jpeg_carrier.extract(pristine)))
    assert run("verify", photo).failed(5, f"{photo}: ", "compressed again or edited since")


def test_changed_since(run, photo):
    pristine = photo.read_bytes()
    with Image.open(photo) as picture:
        picture.load()
    picture.save(photo, quality=85)
    photo.write_bytes(jpeg_carrier.insert(photo.read_bytes(), jpeg_carrier.extract(pristine)))
    assert run("verify", photo).failed(9, f"{photo}: compressed again since")
    assert run("verify", photo, "none.jpg").code == 1
    assert run("verify", "none.jpg", photo).code == 1
    photo.write_bytes(pristine)
    edited(photo)
    assert run("verify", photo).failed(5, f"{photo}: edited since")
    photo.write_bytes(pristine)
    edited(photo, size=(128, 96))
    assert run("verify", photo).failed(5, f"{photo}: another picture, or resized")


def test_not_a_file_is_no_verdict(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert run("verify", tmp_path / "none.jpg").failed(1, "none.jpg: there is no such file")
    assert run("verify", tmp_path).failed(1, f"{tmp_path}: is a folder")
    assert run("verify", tmp_path / "pipe").failed(1, "pipe: is a device or pipe")
    assert run("verify", tmp_path / ("x" * 300)).failed(1, "File name too long")


def test_several_give_the_worst_code(run, photo, tmp_path):
    bare, broken = tmp_path / "bare.jpg", tmp_path / "broken.jpg"
    bare.write_bytes(jpeg_carrier.strip(photo.read_bytes()))
    broken.write_bytes(photo.read_bytes()[:3000])
    good = tmp_path / "good.jpg"
    shutil.copy(photo, good)
    result = run("verify", bare, photo, broken, tmp_path / "none.jpg", good)
    assert result.code == 4
    assert [line.split(": ")[1] for line in result.lines] == [
        str(bare),
        str(broken),
        str(tmp_path / "none.jpg"),
    ]
    assert [line.split(": ")[0] for line in result.out.splitlines()] == [str(photo), str(good)]


def test_json(run, photo, small, count):
    result = run("verify", photo, small / "photo.dng", "--json")
    exact, lost = json.loads(result.out)
    assert exact == {
        **{"picture": str(photo), "code": 0, "match": "exact", "samples": count},
        "source": str(photo),
    }
    assert (lost["picture"], lost["code"]) == (str(small / "photo.dng"), result.code)
    assert result.lines == [f"error: {lost['error']}"]

"""Commands decode a picture once."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize("command", ["inspect", "verify", "recover", "compare", "report"])
def test_a_picture_is_decoded_once(run, photo, small, decoded, command):
    arguments = [small / "photo.dng", photo] if command == "compare" else [photo]
    assert run(command, *arguments).code == 0
    assert decoded == {"photo.jpg": 1}


def test_the_demo_decodes_what_it_made_once(run, raw, tmp_path, decoded, monkeypatch):
    module = importlib.import_module("isp_meta.capture.embed")
    embed = module.embed

    def uncounted(*given, **options):
        before = decoded.copy()
        made = embed(*given, **options)
        decoded.clear()
        decoded.update(before)
        return made

    monkeypatch.setattr(module, "embed", uncounted)
    assert run("demo", raw, "-o", tmp_path / "out").code == 0
    assert decoded == {"photo-superpixel.jpg": 1, "photo-uniform.jpg": 1}

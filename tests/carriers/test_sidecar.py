from pathlib import Path

from isp_meta.carriers import sidecar


def test_name_keeps_the_suffix_of_the_picture():
    assert sidecar.sidecar_path("photo.jpg") == Path("photo.jpg.ispmeta")
    assert sidecar.sidecar_path(Path("a.b/photo")) == Path("a.b/photo.ispmeta")

import torch

from isp_meta.camera import XTRANS, Camera, ColorProfile, EditorTag, EditorTags, GainMap
from isp_meta.frame import Frame
from isp_meta.printing import brief
from isp_meta.samples import Samples


def test_what_is_as_by_default_is_not_shown():
    assert repr(GainMap(torch.ones(3, 4, 1), (0, 0, 8, 8))) == (
        "GainMap(gains=<float32 3x4x1>, rectangle=(0, 0, 8, 8))"
    )
    assert repr(Camera(make="Acme", noise=(1e-4, 1 / 3))) == (
        "Camera(make='Acme', black_level=(0, 0, 0, 0), noise=(0.0001, 0.333333))"
    )


def test_long_values_are_shown_by_their_extent():
    assert brief((64.0,) * 36) == "<36 times 64>"
    assert brief((*range(9), 7.5)) == "<10 values>"
    assert brief(b"x") == "<1 byte>"
    assert brief({"Lens": "50 mm", "ISO": "100"}) == "<2 entries>"
    assert brief({}) == "{}"
    assert brief((1.0,)) == "(1,)"
    assert brief(torch.zeros((), dtype=torch.float64)) == "<float64 ()>"
    assert brief("e" * 1000) == f"'{'e' * 40}'…"


def test_whatever_a_raw_file_says_prints_in_a_few_lines():
    maps = tuple(GainMap(torch.rand(40, 60, 1), (0, i, 3000, 4000), (2, 2)) for i in range(4))
    tags = {51009: EditorTag(7, bytes(10**6)), 50936: EditorTag(2, b"Vivid\0")}
    profile = ColorProfile(
        color_matrices=((0.123456789,) * 9,) * 2,
        hue_sat_maps=(torch.rand(90, 30, 2, 3),) * 2,
        tone_curve=torch.rand(4096, 2),
    )
    camera = Camera(
        cfa=XTRANS,
        black_level=(1022.0,) * 36,
        exif={str(i): "x" * 99 for i in range(99)},
        profile=profile,
        gain_maps=maps,
        editing=EditorTags((3000, 4000), tags),
    )
    frame = Frame(camera, codes=torch.rand(1, 30, 40), samples=samples())
    lines = repr(frame).splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 100
    for text in ("<36 times 1022>", "<4 GainMap>", "<99 entries>", "<float32 1x30x40>", "4096x2"):
        assert text in repr(frame)
    assert len(repr(maps)) < 600
    assert len(repr(camera.editing.tags)) < 300
    assert "samples=Samples(index=<int64 2>" in " ".join(repr(frame).split())


def samples():
    return Samples(torch.tensor([1, 5]), torch.zeros(2, 3), height=30, width=40)

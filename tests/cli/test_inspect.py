from __future__ import annotations

from isp_meta import CaptureOptions, embed


def test_texts_of_strangers_do_not_reach_the_terminal_as_they_are(run, make_frame, tmp_path):
    exif = {"Exif.Image.Artist": "a\x1b[2Jb\nbits 0\x9b31m"}
    embed(
        make_frame(16, 16, model="名前 \x07", exif=exif),
        tmp_path / "a.jpg",
        CaptureOptions(effort=0),
    )
    shown = run("inspect", tmp_path / "a.jpg").out
    assert "\nmodel            名前 \\x07\n" in shown
    assert "Exif.Image.Artist a\\x1b[2Jb\\nbits 0\\x9b31m\n" in shown

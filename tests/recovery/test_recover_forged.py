"""recover() of payloads whose checksums are right and whose content no writer makes."""

from __future__ import annotations

import dataclasses

import pytest

from isp_meta import CaptureOptions, carriers, codec, embed, recover
from isp_meta.errors import PayloadCorrupt


def test_levels_that_make_no_picture(tmp_path, make_frame):
    path = embed(
        make_frame(16, 16), tmp_path / "a.png", CaptureOptions(lossless="alone", effort=0)
    ).path
    whole = path.read_bytes()
    payload = codec.decode(carriers.extract(whole))
    camera = dataclasses.replace(payload.camera, black_level=(64.0, 64.0, -8e208, 64.0))
    forged = codec.encode(dataclasses.replace(payload, camera=camera))
    path.write_bytes(carriers.insert(whole, forged))
    with pytest.raises(PayloadCorrupt, match=r"a\.png: its black and white levels"):
        recover(path)

from __future__ import annotations

import random

import torch

from isp_meta import CaptureOptions, embed, io
from isp_meta.errors import IspMetaError


def test_hostile_raw_files_raise_nothing_but_our_errors(tmp_path, make_frame):
    raw, target = tmp_path / "photo.dng", tmp_path / "a.jpg"
    io.write_dng(raw, make_frame().replace(raw=torch.rand(3, 40, 48)), compress="none")
    good = raw.read_bytes()
    chance = random.Random(7)
    read, refusals = 0, []
    for turn in range(200):
        bad = bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 5))):
            # The first and last few hundred bytes are its directories.
            at = chance.choice((chance.randrange(450), -1 - chance.randrange(150)))
            bad[at] = chance.choice((0, 255, chance.randrange(256)))
        raw.write_bytes(bad[: chance.choice((len(bad), len(bad), chance.randrange(len(bad))))])
        try:
            # Hostile is what is read; to search for what recovers best takes long.
            embed(raw, target, CaptureOptions(effort=int(turn % 8 == 0)), overwrite=True)
            read += 1
        except IspMetaError as error:
            refusals.append(str(error))
    assert min(read, len(refusals)) > 30
    assert all(str(raw) in text for text in refusals)

"""Raw of a picture that never had any, and cameras for it: python examples/unprocess.py [JPEG]

Writes demo-output/unprocess.dng, that raw before its noise, and demo-output/unprocess.jpg:
the picture, and what three random cameras make of that raw. Without JPEG it takes a rendering of
the sample that comes with the package.
"""

import sys
from pathlib import Path

import torch

import isp_meta
from isp_meta import presets
from isp_meta.data import sample_path
from isp_meta.io import decode_image, encode_jpeg

if len(sys.argv) > 1:
    picture = decode_image(Path(sys.argv[1]).read_bytes(), sys.argv[1]).float() / 255
else:
    picture = presets.minimal()(isp_meta.read_raw(sample_path())).srgb

generator = torch.Generator().manual_seed(1)
frame = isp_meta.unprocess(picture, generator=generator)
print(f"{frame.camera.cfa}, neutral {frame.camera.as_shot_neutral}, noise {frame.camera.noise}")

folder = Path("demo-output")
folder.mkdir(exist_ok=True)
isp_meta.write_dng(folder / "unprocess.dng", frame, overwrite=True)
pictures = [picture, *(presets.random(generator)(frame).srgb for _ in range(3))]
rows = [torch.cat(pictures[:2], 2), torch.cat(pictures[2:], 2)]
(folder / "unprocess.jpg").write_bytes(encode_jpeg(torch.cat(rows, 1)[:, ::2, ::2]))
print(folder / "unprocess.dng")

"""Another program's rendering, learned from one picture: python examples/fit_camera.py [RAW]

LibRaw renders the raw file its own way; a pipeline is fitted to that. Writes
demo-output/fit_camera.toml, the camera found, and demo-output/fit_camera.jpg: as it was, as it is
now, as LibRaw has it. Without RAW it takes the sample that comes with the package.
"""

import sys
from pathlib import Path

import rawpy
import torch

import isp_meta
from isp_meta import presets
from isp_meta.data import sample_path
from isp_meta.io import encode_jpeg

source = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path()
with rawpy.imread(str(source)) as raw:
    rendered = raw.postprocess(use_camera_wb=True, user_flip=0)
picture = torch.from_numpy(rendered).movedim(-1, 0).float() / 255

frame = isp_meta.read_raw(source)
found = isp_meta.fit(presets.minimal(), frame, picture)
print(f"{found.before:.2f} dB before, {found.after:.2f} dB after")

folder = Path("demo-output")
folder.mkdir(exist_ok=True)
(folder / "fit_camera.toml").write_text(found.pipeline.to_toml())
pictures = [presets.minimal()(frame).srgb, found.pipeline(frame).srgb, picture]
(folder / "fit_camera.jpg").write_bytes(encode_jpeg(torch.cat(pictures, 2)[:, ::2, ::2]))
print(folder / "fit_camera.toml")

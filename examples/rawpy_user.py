"""From rawpy's arrays and back to an array: python examples/rawpy_user.py [RAW]

Renders by rawpy, hides the raw in that JPEG, and takes it out again as NumPy. Writes
demo-output/rawpy_user.jpg and demo-output/rawpy_user.npy. Without RAW it takes the sample that
comes with the package.
"""

import sys
from pathlib import Path

import numpy as np
import rawpy
import torch
from PIL import Image

import isp_meta
from isp_meta.data import sample_path
from isp_meta.stages import BlackLevel, Demosaic

source = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path()
folder = Path("demo-output")
folder.mkdir(exist_ok=True)

with rawpy.imread(str(source)) as raw:
    codes = raw.raw_image_visible.astype(np.float32)
    pattern = raw.raw_pattern
    matrix = raw.rgb_xyz_matrix[:3]  # zeros where LibRaw does not know the camera
    camera = isp_meta.Camera(
        cfa="".join(chr(raw.color_desc[color]) for color in pattern.flat),
        black_level=tuple(float(raw.black_level_per_channel[color]) for color in pattern.flat),
        white_level=float(raw.white_level),
        as_shot_neutral=tuple(raw.camera_whitebalance[1] / g for g in raw.camera_whitebalance[:3]),
        **({"color_matrix": tuple(map(float, matrix.flat))} if matrix.any() else {}),
    )
    rendered = raw.postprocess(use_camera_wb=True, user_flip=0)
Image.fromarray(rendered).save(folder / "rawpy.jpg", quality=95, subsampling=0)

frame = isp_meta.Frame(camera, codes=torch.from_numpy(codes)[None])
jpeg = folder / "rawpy_user.jpg"
made = isp_meta.embed(frame, jpeg, existing=folder / "rawpy.jpg", overwrite=True)
print(f"{jpeg}: {made.bits_per_pixel:.3f} bits of metadata a pixel")

recovered = isp_meta.recover(jpeg).raw.permute(1, 2, 0).numpy()  # (H, W, 3), linear, in [0, 1]
np.save(folder / "rawpy_user.npy", recovered)

linear = isp_meta.Pipeline([BlackLevel(), Demosaic("malvar")])
true = linear(frame).raw.permute(1, 2, 0).numpy()
print(f"{-10 * np.log10(np.square(recovered - true).mean()):.2f} dB against the demosaiced raw")

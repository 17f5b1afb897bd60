"""A picture of eight bits down to four, and back by what was kept of it.

python examples/bit_depth.py [PICTURE]
"""

import sys
from pathlib import Path

from isp_meta import bit_depth, presets, read_raw
from isp_meta.data import sample_path
from isp_meta.io import encode_png

folder = Path("demo-output")
folder.mkdir(exist_ok=True)
if len(sys.argv) > 1:
    picture = Path(sys.argv[1])
else:
    srgb = presets.minimal()(read_raw(sample_path())).srgb[:, :384, :512]
    picture = folder / "eight_bits.png"
    picture.write_bytes(encode_png(srgb))

few = bit_depth.embed(picture, folder / "four_bits.png", bits=4, overwrite=True)
print(f"{few.path}: {len(few.samples)} pixels kept, {few.bits_per_pixel:.3f} bit a pixel")

back = bit_depth.recover(few.path)
back.write(folder / "four_bits-recovered.png", overwrite=True)
print(f"{folder / 'four_bits-recovered.png'}: {few.psnr:.2f} dB, by {back.depth.recovery}")

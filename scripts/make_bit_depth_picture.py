"""Makes the picture of docs/bit-depth.md: four bits, what recovery makes of them, and the truth.

    python scripts/make_bit_depth_picture.py fusion_back.dng docs/images

The raw file is a sample of gopro/gpr, Apache-2.0 or MIT.
"""

from __future__ import annotations

import argparse
import tempfile
from io import BytesIO
from pathlib import Path

import torch

from isp_meta import bit_depth, presets, read_raw
from isp_meta.io import encode_png, to_uint8, write_atomic
from isp_meta.pictures import contact_sheet

TOP, LEFT, HEIGHT, WIDTH = 340, 2180, 400, 400
QUALITY = 92


def main() -> None:
    """Renders, degrades, recovers, and puts the three side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    shown = presets.camera()(read_raw(options.raw), keep=("srgb",)).srgb
    with tempfile.TemporaryDirectory() as scratch:
        whole, few = Path(scratch) / "whole.png", Path(scratch) / "few.png"
        whole.write_bytes(encode_png(shown))
        done = bit_depth.embed(whole, few, 4)
        back = bit_depth.recover(few).codes
    truth = to_uint8(shown)
    parts = {
        "4 bits": bit_depth.degrade(truth, 4),
        f"back by {done.depth.recovery}, {done.bits_per_pixel:.2f} bit a pixel": back,
        "8 bits": truth,
    }
    sheet = contact_sheet(
        [
            (name, codes[:, TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH].to(torch.float32) / 255)
            for name, codes in parts.items()
        ],
        3,
    )
    buffer = BytesIO()
    sheet.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    path = options.folder / "bit-depth.jpg"
    write_atomic(path, buffer.getvalue(), overwrite=True)
    print(f"{path}: {done.psnr:.2f} dB, {sheet.width}x{sheet.height}, {buffer.tell():,} bytes")


if __name__ == "__main__":
    main()

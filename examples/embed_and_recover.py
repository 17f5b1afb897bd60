"""A raw file to a JPEG that carries its raw, and back: python examples/embed_and_recover.py [RAW]

Writes into demo-output/. Without RAW it takes the sample that comes with the package.
"""

import sys
from pathlib import Path

import isp_meta
from isp_meta.comparison import compare
from isp_meta.data import sample_path

source = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path()
folder = Path("demo-output")
folder.mkdir(exist_ok=True)
jpeg, dng = folder / f"{source.stem}.jpg", folder / f"{source.stem}-recovered.dng"

made = isp_meta.embed(source, jpeg, overwrite=True)
print(f"{jpeg}: {made.picture_bytes:,} bytes of JPEG + {made.payload_bytes:,} bytes of metadata")

carried = isp_meta.read_metadata(jpeg)
print(f"it holds {len(carried.payload.samples):,} raw pixels; the picture is {carried.match}")

frame = isp_meta.recover(carried)  # from the JPEG alone, as recover(jpeg) does
isp_meta.write_dng(dng, frame, overwrite=True)
print(f"{dng}: open it in a raw editor")

figures, _estimate, _truth = compare(source, carried, estimate=frame)
print(f"against the original raw: PSNR {figures.psnr:.2f} dB, SSIM {figures.ssim:.4f}")

"""Makes isp_meta/data/hero6_crop.dng: a losslessly compressed crop of a GoPro HERO6 DNG.

    python scripts/make_sample.py hero6.dng isp_meta/data/hero6_crop.dng

Pixel values and the tags in KEPT are the original's. Its lens shading opcodes are dropped, since
their gain maps span the whole picture.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import tifffile

from isp_meta.io import read_raw, write_atomic
from isp_meta.io.dng.directory import EXIF_PLACEHOLDER, LOSSLESS_JPEG, append_exif
from isp_meta.io.dng.tags import CFA

TOP, LEFT, HEIGHT, WIDTH = 560, 1180, 768, 1024  # even, so that the mosaic stays RGGB
KEPT = [
    "Make",
    "Model",
    "Orientation",
    "Software",
    "DateTime",
    "DNGVersion",
    "DNGBackwardVersion",
    "UniqueCameraModel",
    "CFARepeatPatternDim",
    "CFAPattern",
    "CFAPlaneColor",
    "CFALayout",
    "BlackLevelRepeatDim",
    "BlackLevel",
    "WhiteLevel",
    "ColorMatrix1",
    "ColorMatrix2",
    "CalibrationIlluminant1",
    "CalibrationIlluminant2",
    "AnalogBalance",
    "AsShotNeutral",
    "BaselineExposure",
    "BaselineNoise",
    "BaselineSharpness",
    "BayerGreenSplit",
    "LinearResponseLimit",
    "AntiAliasStrength",
    "ShadowScale",
    "BestQualityScale",
    "NoiseProfile",
]


def main() -> None:
    """Reads the source, writes the crop."""
    parser = argparse.ArgumentParser(description="Crops the sample out of a GoPro HERO6 DNG.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--overwrite", action="store_true")
    arguments = parser.parse_args()

    with tifffile.TiffFile(arguments.source) as source:
        page = source.pages.first
        codes = page.asarray()[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
        found = [page.tags[name] for name in KEPT]
        tags = [(tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in found]
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer, byteorder="<") as target:
        target.write(
            codes,
            photometric=CFA,
            subfiletype=0,
            extratags=[*tags, EXIF_PLACEHOLDER],
            metadata=None,
            software=False,
            **LOSSLESS_JPEG,
        )
    data = append_exif(buffer.getvalue(), read_raw(arguments.source).camera)
    write_atomic(arguments.target, data, overwrite=arguments.overwrite)


if __name__ == "__main__":
    main()

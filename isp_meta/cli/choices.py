"""What some options may be, as the library has it.

The library declares these beside what works with PyTorch, which help and completion need not wait
for. A test compares the two.
"""

from typing import Literal

__all__ = ["Compression", "DemosaicMethod", "DisplaySpace", "Engine", "Format", "Method"]

Compression = Literal["lossless-jpeg", "jpegxl", "none"]
Format = Literal["dng", "tiff", "npy"]
Engine = Literal["local", "ray"]
DemosaicMethod = Literal["malvar", "bilinear", "menon", "kriging"]
DisplaySpace = Literal["srgb", "display-p3", "rec2020"]
Method = Literal["best", "guided", "network", "local-rbf"]

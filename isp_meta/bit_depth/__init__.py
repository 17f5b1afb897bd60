"""Bit depth: a picture of few bits that still carries the many.

codes = isp_meta.bit_depth.degrade(image, 4)                     # its four highest bits
isp_meta.bit_depth.embed("photo.png", "small.png", bits=4)       # those, and 1.5 % of the rest
isp_meta.bit_depth.recover("small.png").write("back.png")        # all eight bits again
"""

from .bins import degrade
from .files import Embedded, Recovered, degrade_file, embed, recover

__all__ = [
    "Embedded",
    "Recovered",
    "degrade",
    "degrade_file",
    "embed",
    "recover",
]

"""What recovery makes of a picture and the samples kept of it; capture tries the very same.

srgb ─▶ Guide ─▶ FirstGuess ─▶ (3, H, W) ──────────────────────┐
samples ─▶ log-gain against it ─▶ a system a block ─▶ gain ────┴─▶ guess × gain ─▶ raw
raw ─▶ the mosaic that it must be made of ─▶ corrected ─▶ raw
"""

from .decoder import Decoder
from .guide import Guide
from .mosaic import DemosaicedRaw
from .systems import LocalRBFSetting, block_side

__all__ = ["Decoder", "DemosaicedRaw", "Guide", "LocalRBFSetting", "block_side"]

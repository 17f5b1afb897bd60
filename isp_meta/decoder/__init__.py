"""What recovery makes of a picture and the samples kept of it; capture tries the very same.

srgb ─▶ Guide ─▶ FirstGuess ─▶ (3, H, W) ──────────────────────┐
samples ─▶ log-gain against it ─▶ a system a block ─▶ gain ────┴─▶ guess × gain ─▶ raw
"""

from .decoder import Decoder
from .guide import Guide
from .systems import LocalRBFSetting, block_side

__all__ = ["Decoder", "Guide", "LocalRBFSetting", "block_side"]

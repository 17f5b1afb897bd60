"""From a picture that carries its raw back to the raw.

What rebuilds the raw, and takes PyTorch for it, is not loaded here: :mod:`.recover`, :mod:`.write`.
"""

from .metadata import Metadata, check_match, read_metadata, read_payload
from .transfer import attach, extract, strip
from .verify import verify

__all__ = [
    "Metadata",
    "attach",
    "check_match",
    "extract",
    "read_metadata",
    "read_payload",
    "strip",
    "verify",
]

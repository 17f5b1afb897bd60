"""From a picture that carries its raw back to the raw."""

from .metadata import Metadata, check_match, read_metadata, read_payload
from .recover import recover
from .transfer import attach, extract, strip
from .verify import verify
from .write import Format, write_recovered

__all__ = [
    "Format",
    "Metadata",
    "attach",
    "check_match",
    "extract",
    "read_metadata",
    "read_payload",
    "recover",
    "strip",
    "verify",
    "write_recovered",
]

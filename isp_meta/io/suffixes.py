"""Endings of file names, in lower case."""

__all__ = ["RAW_SUFFIXES", "RENDERED_SUFFIXES"]

RENDERED_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg"})
"""Endings of rendered pictures."""

RAW_SUFFIXES = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc"),
        *(".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2"),
        *(".srf", ".srw", ".x3f"),
    )
)
"""Endings of raw files."""

"""Endings of file names, in lower case."""

__all__ = ["LAYOUT_SUFFIX", "RAW_SUFFIXES", "RENDERED_SUFFIXES"]

RENDERED_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg"})
"""Endings of rendered pictures."""

RAW_SUFFIXES = frozenset(
    (
        *(".3fr", ".ari", ".arw", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff"),
        *(".gpr", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".ori", ".pef"),
        *(".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    )
)
"""Endings of raw files."""

LAYOUT_SUFFIX = ".toml"
"""Behind a raw file's own name: of the file that says how it lies there (photo.raw.toml)."""

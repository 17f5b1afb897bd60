"""DNG, and the tags of TIFF-based raw files: read, understood, written."""

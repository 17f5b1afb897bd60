"""From a raw file to a picture that carries it; the function is :func:`isp_meta.embed`.

The options alone stand here, because the command line takes them without waiting for PyTorch.
"""

from .options import CaptureOptions

__all__ = ["CaptureOptions"]

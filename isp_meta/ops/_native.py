"""Loads the native module, whose import registers the operators of ``torch.ops.isp_meta``."""

import importlib

try:
    importlib.import_module("isp_meta._ops")
except ImportError as error:
    raise ImportError(
        f"isp_meta's native operators do not load: {error}. They are built when the package is "
        "installed; in a checkout: pip install --no-build-isolation -e ."
    ) from error

"""In which numbers a device computes a network fastest."""

from __future__ import annotations

import platform
from functools import cache

import torch

__all__ = ["fastest_dtype"]

_INSTRUCTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
_X86 = ("x86_64", "amd64", "i386", "i686")


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where a device multiplies in it, else float32.

    A processor that does not, emulates it: convolutions take twice as long as in float32 with
    AVX-512, and seven times as long with AVX2.
    """
    return torch.bfloat16 if device.type != "cpu" or _has_bfloat16() else torch.float32


@cache
def _has_bfloat16() -> bool:
    # PyTorch asks processors of other kinds itself; of x86 it takes any with AVX-512 for one.
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if supported is None or not supported():
        return False
    if platform.machine().lower() not in _X86:
        return True
    asked = (getattr(torch.cpu, name, None) for name in _INSTRUCTIONS)
    return any(has is not None and has() for has in asked)

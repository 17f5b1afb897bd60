"""Transfer functions: from linear light to the values that a file stores."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from ..colorimetry import SPACES, TRANSFERS
from ..frame import Frame
from ..stage import Stage

__all__ = ["Gamma", "TransferName", "decode", "encode", "srgb_decode", "srgb_encode"]

TransferName = Literal["srgb", "rec709", "gamma2.2", "prophoto", "linear"]


def encode(linear: Tensor, transfer: TransferName = "srgb") -> Tensor:
    """Linear light to encoded values.

    Args:
        linear: any shape, float32 or float64, in [0, 1]; negative values follow the straight part.
        transfer: "srgb", "rec709" (BT.2020's too), "gamma2.2", "prophoto" or "linear".

    Returns:
        Same shape, in [0, 1]; the gradient is finite everywhere.

    Raises:
        ValueError: there is no such transfer function.

    Source: IEC 61966-2-1:1999, section 5.2; ITU-R BT.709-6, BT.2020-2; ISO 22028-2. See
    :data:`isp_meta.colorimetry.TRANSFERS`.
    """
    _check(transfer)
    return TRANSFERS[transfer].encode(linear)


def decode(encoded: Tensor, transfer: TransferName = "srgb") -> Tensor:
    """Encoded values to linear light: the inverse of :func:`encode`, as exact as the dtype.

    Args:
        encoded: any shape, float32 or float64, in [0, 1].
        transfer: as there.

    Returns:
        Same shape, in [0, 1].

    Raises:
        ValueError: there is no such transfer function.
    """
    _check(transfer)
    return TRANSFERS[transfer].decode(encoded)


def srgb_encode(linear: Tensor) -> Tensor:
    """Linear light to sRGB values: :func:`encode`."""
    return TRANSFERS["srgb"].encode(linear)


def srgb_decode(srgb: Tensor) -> Tensor:
    """sRGB values to linear light: :func:`decode`."""
    return TRANSFERS["srgb"].decode(srgb)


def _check(transfer: str) -> None:
    if transfer not in get_args(TransferName):
        names = ", ".join(get_args(TransferName))
        raise ValueError(f"transfer must be one of {names}, not {transfer!r}")


class Gamma(Stage):
    """Linear or toned rgb, confined to [0, 1], to srgb; see :func:`encode`.

    Args:
        transfer: None: that of the frame's ``space``, which is what an ICC profile of that space
            says; sRGB's for "srgb" and "display-p3", BT.2020's for "rec2020".

    Raises:
        ValueError: there is no such transfer function.
    """

    needs = frozenset({"rgb"})
    gives = frozenset({"srgb"})
    pointwise = True

    def __init__(self, transfer: TransferName | None = None) -> None:
        super().__init__()
        if transfer is not None:
            _check(transfer)
        self.transfer: TransferName | None = transfer

    def forward(self, frame: Frame) -> Frame:
        """Fills ``srgb``."""
        rgb = frame.require("rgb", by="Gamma")
        transfer = TRANSFERS[self.transfer or SPACES[frame.space].transfer]
        return frame.replace(srgb=transfer.encode(rgb.clamp(0, 1)))

    def extra_repr(self) -> str:
        """Arguments, for ``repr``."""
        return "" if self.transfer is None else f"transfer={self.transfer!r}"

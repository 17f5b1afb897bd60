"""Registration: where a picture that another program made lies in its raw, and where it fits it."""

from .agreement import TILE
from .placement import Placement, as_stored, between, upright
from .register import LARGEST_SHIFT, Registration, register

__all__ = [
    "LARGEST_SHIFT",
    "TILE",
    "Placement",
    "Registration",
    "as_stored",
    "between",
    "register",
    "upright",
]

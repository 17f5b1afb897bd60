"""From the JPEG's pixels and the kept samples back to linear raw-RGB."""

from .local_rbf import LocalRBFReconstructor
from .rbf import RBFReconstructor

__all__ = ["LocalRBFReconstructor", "RBFReconstructor"]

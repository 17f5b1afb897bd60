"""Published methods, re-stated to be compared with: SAM, RIR, and blind bit-depth expansion."""

from .parametric import ParametricReconstructor
from .parametric_fit import fit_parametric
from .rbf import RBFReconstructor

__all__ = ["ParametricReconstructor", "RBFReconstructor", "fit_parametric"]

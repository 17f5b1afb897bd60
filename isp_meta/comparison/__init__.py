"""A recovered picture beside the true one: figures for all of it and by brightness."""

from .compare import Comparison, compare
from .fidelity import Fidelity, measure
from .stops import Stop, stops

__all__ = ["Comparison", "Fidelity", "Stop", "compare", "measure", "stops"]

"""A recovered picture beside the true one: figures for all of it and by brightness."""

from .compare import Comparison, compare
from .fidelity import Fidelity, measure
from .specks import count_specks
from .stops import Stop, stops

__all__ = ["Comparison", "Fidelity", "Stop", "compare", "count_specks", "measure", "stops"]

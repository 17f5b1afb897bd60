"""A recovered picture beside the true one: figures for all of it, by brightness and after edits."""

from .compare import Comparison, compare
from .edits import EDITS, Edit, EditError, edit_errors, linear_light
from .fidelity import Fidelity, measure
from .specks import count_specks
from .stops import Stop, stops

__all__ = [
    "EDITS",
    "Comparison",
    "Edit",
    "EditError",
    "Fidelity",
    "Stop",
    "compare",
    "count_specks",
    "edit_errors",
    "linear_light",
    "measure",
    "stops",
]

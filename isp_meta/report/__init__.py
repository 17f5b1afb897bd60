"""A page about one picture that carries its raw: self-contained HTML, made to be looked at."""

from .build import build_report, write_report

__all__ = ["build_report", "write_report"]

"""A closer look at a finished run: what its networks have in common, and where they go wrong."""

from preceptor.analysis.analyse import analyse

__all__ = ["analyse"]

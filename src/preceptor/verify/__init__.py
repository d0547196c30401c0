"""The tables of a report computed once more, from ``predictions/`` alone.

Nothing here is imported from the report or from the measures: every score, interval and test is written anew from its
definition, so that an error there does not repeat itself here. What it knows of the report are the files that it wrote.
"""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.verify.check import Checked, verified

__all__ = ["Checked", "verified"]

__getattr__ = lazy_names(__name__, {"check": ["Checked", "verified"]})

"""One number of a table, and what came of computing it anew."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, ParamSpec

from preceptor.verify.answers import UnknownError
from preceptor.verify.numbers import Number

P = ParamSpec("P")
_DECIMALS = re.compile(r"\.(\d+)")


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as it is written.

    Args:
        table: the name of its file.
        row, column: what stands at its side and above it.
        computed: what the predictions give; empty where that is not known.
        why: why it is not known.
    """

    table: str
    row: str
    column: str
    written: str
    verdict: Literal["agrees", "differs", "unknown"]
    computed: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number stands."""

    table: str
    row: str
    column: str

    def unknown(self, written: str, why: str) -> Cell:
        """That it cannot be computed."""
        return Cell(self.table, self.row, self.column, written, "unknown", why=why)

    def exact(self, written: str, computed: str) -> Cell:
        """A word or count, which must be the same."""
        verdict: Literal["agrees", "differs"] = "agrees" if written == computed else "differs"
        return Cell(self.table, self.row, self.column, written, verdict, computed)

    def number(self, written: str, found: Number | None, *, is_end: bool = False) -> Cell:
        """A value in six digits.

        Args:
            is_end: of an interval, which is drawn in single precision.
        """
        if found is None or found.value is None:
            return self.exact(written, "")
        wanted = found.value
        room = (5e-5 if is_end else 1e-5) * abs(wanted) + (1e-4 if is_end else 2e-5) + found.slack
        return self._close(written, wanted, room)

    def rounded(self, written: str, wanted: float, slack: float = 0.0) -> Cell:
        """A value with a fixed number of decimals."""
        decimals = _DECIMALS.search(written)
        step = 10.0 ** -len(decimals[1]) if decimals else 1.0
        return self._close(written, wanted, 0.5001 * step + 1e-5 * abs(wanted) + slack)

    def between(self, written: str, low: float, high: float) -> Cell:
        """A p-value with three decimals, which lies between two ends."""
        said = 0.0 if written == "< 0.001" else _as_number(written)
        room = 0.001 if written == "< 0.001" else 0.00051
        agrees = said is not None and low - room <= said <= high + room
        computed = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
        return Cell(self.table, self.row, self.column, written, "agrees" if agrees else "differs", computed)

    def _close(self, written: str, wanted: float, room: float) -> Cell:
        said = _as_number(written)
        agrees = said is not None and abs(said - wanted) <= room
        return Cell(self.table, self.row, self.column, written, "agrees" if agrees else "differs", f"{wanted:.6g}")


def _as_number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def known(
    place: Place, written: str, cells: Callable[P, Iterable[Cell]], *args: P.args, **more: P.kwargs
) -> list[Cell]:
    """What ``cells`` gives, or one that says why that is not known."""
    try:
        return list(cells(*args, **more))
    except UnknownError as why:
        return [place.unknown(written, str(why))]

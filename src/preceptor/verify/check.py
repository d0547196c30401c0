"""All tables of a report, cell by cell."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preceptor.verify.across_table import NAME, across
from preceptor.verify.cell import Cell, Place
from preceptor.verify.compared_tables import differences
from preceptor.verify.measured_tables import every_score, probes, study_results
from preceptor.verify.numbers import Numbers
from preceptor.verify.operating_table import operating
from preceptor.verify.other_tables import good_enough, runs, teachers
from preceptor.verify.written import Written, read_written

_Check = Callable[[Numbers, list[list[str]]], Iterable[Cell]]

_TABLES: Mapping[str, _Check] = {
    "results": study_results,
    "scores": every_score,
    "differences": differences,
    "runs": runs,
    "teachers": teachers,
    "good-enough": good_enough,
    "operating": operating,
    "probes": probes,
}

_OTHERS = {
    "costs": (2, "counted on the network itself, not on what it says"),
    "gradients": (3, "measured by `preceptor analyse` on the network itself"),
}
"""Tables that do not come from predictions: how many columns are labels, and why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A table and its numbers."""

    slug: str
    name: str
    cells: Sequence[Cell]

    def count(self, verdict: str) -> int:
        """How many numbers have a verdict."""
        return sum(cell.verdict == verdict for cell in self.cells)

    @property
    def differing(self) -> list[Cell]:
        """Those that are not what the predictions give."""
        return [cell for cell in self.cells if cell.verdict == "differs"]

    @property
    def reasons(self) -> Mapping[str, int]:
        """Why some cannot be computed -> how many."""
        return Counter(cell.why for cell in self.cells if cell.verdict == "unknown")


def verified(folders: Sequence[Path], out: Path) -> list[Checked]:
    """Every table of the report in ``out``, its numbers computed anew from the predictions.

    Args:
        folders: that were reported.

    Raises:
        UserError: there are no tables, or a run of theirs cannot be read.
    """
    each = read_written(folders, out)
    together = across(each, each[0].folder)
    overall = [Checked("across", NAME.removeprefix("across-"), together)] if together else []
    return [*overall, *(one for written in each for one in _checked(written))]


def _checked(written: Written) -> Iterator[Checked]:
    numbers = Numbers(written)
    for name in written.known_tables():
        rows = written.table(name)
        if rows is None or len(rows) < 2:
            continue
        rows = _without_note(rows)
        if name in _TABLES:
            yield Checked(written.slug, name, list(_TABLES[name](numbers, rows)))
        else:
            yield Checked(written.slug, name, list(_unknown(name, rows)))


def _without_note(rows: list[list[str]]) -> list[list[str]]:
    """Without the last column that says of a small study what it is not."""
    return [row[:-1] for row in rows] if rows[0][-1] == "note" else rows


def _unknown(name: str, rows: list[list[str]]) -> Iterator[Cell]:
    labels, why = _OTHERS.get(name, (1, "this table is not known here"))
    for row in rows[1:]:
        for head, cell in zip(rows[0][labels:], row[labels:], strict=True):
            if cell:
                yield Place(name, ", ".join(row[:labels]), head).unknown(cell, why)

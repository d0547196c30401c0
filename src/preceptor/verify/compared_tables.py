"""Which differences hold: the tests of every comparison, and their correction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from preceptor.verify.answers import Said, UnknownError, groups_of
from preceptor.verify.cell import Cell, Place
from preceptor.verify.numbers import Numbers
from preceptor.verify.paired import Tested, corrected, over_seeds, shares, tested
from preceptor.verify.written import Method

_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, computed anew.

    Args:
        half: of the interval of the difference; None for a single seed.
        p_low, p_high: the largest of the three p-values lies between them.
    """

    gaps: tuple[float, ...]
    test: Tested
    seed_p: float
    both_p: float
    half: float | None
    is_against_alone: bool

    @property
    def p_low(self) -> float:
        return max(self.test.p_value.low, self.seed_p, self.both_p)

    @property
    def p_high(self) -> float:
        return max(self.test.p_value.high, self.seed_p, self.both_p)


def differences(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """The table of every paired comparison."""
    heads, families = rows[0], dict[str, list[tuple[list[str], Compared]]]()
    for row in rows[1:]:
        try:
            families.setdefault(row[3], []).append((row, _compared(numbers, row)))
        except UnknownError as why:
            yield from (
                _at(row, head).unknown(cell, str(why))
                for head, cell in zip(heads[4:-1], row[4:-1], strict=True)
                if cell
            )
    for name, family in families.items():
        weights = shares([one.is_against_alone for _, one in family], _pairs(numbers, numbers.written.key(name)))
        ends = [corrected([getattr(one, end) for _, one in family], weights) for end in ("p_low", "p_high")]
        for (row, one), low, high in zip(family, *ends, strict=True):
            yield from _cells(heads, row, one, (low, high), max(weights))


def _at(row: Sequence[str], head: str) -> Place:
    return Place("differences", f"{row[0]} – {row[1]}, {row[2]}, {row[3]}", head)


def _compared(numbers: Numbers, row: Sequence[str]) -> Compared:
    one, two = (numbers.written.method(title) for title in row[:2])
    network, key = row[2], numbers.written.key(row[3])
    score = numbers.score(key)
    seeds = [seed for seed in one.seeds if seed in two.seeds]
    pairs: list[tuple[Said, Said]] = [(one.seeds[seed].said(network), two.seeds[seed].said(network)) for seed in seeds]
    if any(list(mine.ids) != list(theirs.ids) for mine, theirs in pairs):
        raise UnknownError("the two methods answered for different samples")
    wholes = [method.seeds[seed] for seed in seeds for method in (one, two)]
    test = tested(key, pairs, score, lambda ids: groups_of(wholes, ids))
    values = [[score.whole(said) or 0.0 for said in side] for side in zip(*pairs, strict=True)]
    gaps = tuple(a - b for a, b in zip(*values, strict=True))
    is_alone = one.alone is not None and numbers.written.methods[one.alone] is two
    return Compared(gaps, test, *over_seeds(values[0], values[1], test.variance, test.units), is_alone)


def _pairs(numbers: Numbers, key: str) -> int:
    """All pairs of methods that have the score, over all networks."""
    written = numbers.written
    methods = [method for method in written.methods if method.kind != "teacher" and method.seeds]
    counts = [
        sum(_has(numbers, method, network, key) for method in methods) for network in written.networks if network != "T"
    ]
    return sum(comb(count, 2) for count in counts)


def _has(numbers: Numbers, method: Method, network: str, key: str) -> bool:
    try:
        return bool(numbers.values(method, network, key))
    except UnknownError:
        return False


def _cells(
    heads: Sequence[str], row: Sequence[str], one: Compared, ends: tuple[float, float], share: float
) -> Iterator[Cell]:
    gap = np.array(one.gaps)
    at = {head: _at(row, head) for head in heads}
    said = dict(zip(heads, row, strict=True))
    least = 2.0 ** (1 - one.test.units) / (1.0 if one.test.is_delong else share)
    for head, cell in list(said.items())[4:]:
        place = at[head]
        if head == "difference, points":
            yield place._close(cell, 100 * float(gap.mean()), 2e-4)
        elif head == "difference, points ±" and cell:
            yield place._close(cell, 100 * float(gap.std(ddof=1)), 2e-4)
        elif head in ("difference, points low", "difference, points high") and cell:
            side = 1 if head.endswith(" high") else -1
            yield place._close(cell, 100 * (float(gap.mean()) + side * (one.half or 0.0)), 2e-4)
        elif head == "verdict":
            yield _verdict(place, cell, gap.mean() > 0, ends, least)
        elif head == "p, corrected":
            yield place.between(cell, *ends)
        elif head in ("p, seeds", "p, both"):
            found = one.seed_p if head == "p, seeds" else one.both_p
            yield place.between(cell, found, found)
        elif head.startswith("p, "):  # of samples, or of what their groups are called
            yield place.between(cell, one.test.p_value.low, one.test.p_value.high)
        elif head == "seeds":
            yield place.exact(cell, str(len(gap)))
        elif head.startswith("test samples"):
            groups = "" if one.test.groups is None else f" in {one.test.groups:,}"
            yield place.exact(cell, f"{one.test.samples:,}{groups}")


def _verdict(place: Place, cell: str, is_higher: bool, ends: tuple[float, float], least: float) -> Cell:
    """The words; two are right where chance decides on which side of the level the p-value lies."""
    claim = "better" if is_higher else "worse"
    right = (
        {claim if p <= _LEVEL else "not distinguishable" for p in ends} if least <= _LEVEL else {"no verdict possible"}
    )
    return place.exact(cell, cell if cell in right else " or ".join(sorted(right)))

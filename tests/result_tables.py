"""The tables of docs/results, and what today's rule may claim of the means and deviations that stand in them.

A difference is claimed where the largest of three p-values is small enough once corrected. That over seeds (Welch)
follows from means and deviations alone, so what it does not allow, the whole rule does not allow either: pages whose
run folders are gone can be held against it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np
from scipy import stats

from preceptor.measures.claims import LEVEL, corrected, pairs_to_compare, shares_of_level

_MEASURED = re.compile(r"(-?\d+\.(\d+)) ± (\d+\.\d+)")
Pair = tuple[str, str, str]
"""A network, and two methods of it."""
_RULE = re.compile(r":?-+:?")


@dataclass(frozen=True)
class PageTable:
    """A table of a page.

    Args:
        under: the heading above it.
        line: where it begins.
    """

    under: str
    line: int
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def column(self, head: str) -> int:
        return self.heads.index(head)


@dataclass(frozen=True)
class Measured:
    """A mean and a deviation over seeds, which may be off by ``half`` for they are rounded."""

    mean: float
    deviation: float
    half: float


def tables_of(page: Path) -> list[PageTable]:
    """All tables of a page of markdown; cells are split where no backslash is."""
    found, under, block = [], "", list[list[str]]()
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate([*lines, ""]):
        if line.startswith("#"):
            under = line.lstrip("# ")
        if line.lstrip().startswith("|"):
            block.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
        elif block:
            assert all(_RULE.fullmatch(cell) for cell in block[1]), f"{page}: no table above line {number}"
            found.append(PageTable(under, number - len(block), block[0], block[2:]))
            block = []
    return found


def measured(cell: str) -> Measured | None:
    """What a cell begins with; None where that is no mean with a deviation."""
    found = _MEASURED.match(cell)
    return found and Measured(float(found[1]), float(found[3]), 0.5 * 10.0 ** -len(found[2]))


def welch(one: Measured, two: Measured, seeds: int, *, slack: float) -> float:
    """p-value over seeds; ``slack=1`` is the smallest that the rounding leaves open, 0 takes figures as they are."""
    half = slack * max(one.half, two.half)
    gap = abs(one.mean - two.mean) + 2 * half
    parts = [max(0.0, side.deviation - half) ** 2 / seeds for side in (one, two)]
    doubt = sum(part**2 / (seeds - 1) for part in parts)
    if doubt == 0:
        return float(gap == 0)
    return float(2 * stats.t.sf(gap / sum(parts) ** 0.5, df=sum(parts) ** 2 / doubt))


def claimable(networks: Mapping[str, Mapping[str, Measured]], alone: str, seeds: int) -> list[Pair]:
    """What no p-value over seeds forbids, however the figures were rounded."""
    return [pair for pair, (_, p) in p_values(networks, alone, seeds, slack=1.0).items() if p <= LEVEL]


def p_values(
    networks: Mapping[str, Mapping[str, Measured]], alone: str, seeds: int, *, slack: float = 0.0
) -> dict[Pair, tuple[float, float]]:
    """Of every comparison that the rule makes: the p-value over seeds, and the same corrected for all.

    Args:
        networks: of which scores are, each with its methods; ``alone`` is the students alone.
        slack: 1 takes what the rounding leaves open as favourably as it can be.
    """
    listed, every = dict[Pair, tuple[bool, float]](), 0
    for network, methods in networks.items():
        names = list(methods)
        places = [names.index(alone) if alone in names and name != alone else None for name in names]
        for first, second, is_alone in pairs_to_compare([methods[name].mean for name in names], places):
            one, two = names[first], names[second]
            listed[network, one, two] = is_alone, welch(methods[one], methods[two], seeds, slack=slack)
        every += comb(len(names), 2)
    shares = shares_of_level(np.array([is_alone for is_alone, _ in listed.values()]), every)
    right = corrected([p for _, p in listed.values()], shares)
    return {pair: (raw, float(p)) for (pair, (_, raw)), p in zip(listed.items(), right, strict=True)}

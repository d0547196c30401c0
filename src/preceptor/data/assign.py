"""Which part each row goes to, so that every part gets its share of every class and units stay whole."""

import numpy as np
from numpy.typing import NDArray

from preceptor.randomness import key, keys, uniforms

_TRIALS = 24  # random orders of the units that are tried
_SWEEPS = 12  # rounds of moving single units
_NEAR_SIZE, _NEAR_CLASS = 0.02, 0.04  # gaps, as shares of all samples and of a class, that need no better order
_MANY = 2000  # units from which one order without moves is good enough


def parts_of_rows(
    ids: NDArray[np.object_],
    labels: NDArray[np.int64],
    units: NDArray[np.int64],
    share: NDArray[np.float64],
    seed: int,
) -> NDArray[np.int64]:
    """Number of each row's part: units of several rows by search, single rows then fill up exactly.

    Shapes:
        ids, labels, units, returns: (N,), units numbered 0…U-1
        share: (P,), of each part, sum 1
    """
    labels = np.unique(labels, return_inverse=True)[1]
    order = np.argsort(ids, kind="stable")  # by id, so that the order of the rows does not matter
    first = np.full(int(units.max()) + 1, -1, dtype=np.int64)
    first[units[order][::-1]] = order[::-1]
    counts = np.zeros((len(first), int(labels.max()) + 1))
    np.add.at(counts, (units, labels), 1)
    canonical = np.argsort(ids[first], kind="stable")
    names = keys([str(name) for name in ids[first][canonical]])
    counts = counts[canonical]

    several = np.flatnonzero(counts.sum(1) > 1)
    single = np.flatnonzero(counts.sum(1) == 1)
    where = np.zeros(len(counts), dtype=np.int64)
    if several.size:
        where[several] = _search(counts[several], names[several], share, seed, alone=not single.size)
    if single.size:
        taken = np.array([counts[several][where[several] == part].sum(0) for part in range(len(share))])
        draw = uniforms(key(seed, "split", "image"), names[single], 1)[:, 0]
        kind = counts[single].argmax(1)
        for label in range(counts.shape[1]):
            members = single[kind == label]
            members = members[np.argsort(draw[kind == label], kind="stable")]
            quota = _quota(share * counts[:, label].sum() - taken[:, label], len(members), share, taken[:, label])
            where[members] = np.repeat(np.arange(len(share)), quota)
    unit_part = np.empty(len(counts), dtype=np.int64)
    unit_part[canonical] = where
    return unit_part[units]


def _quota(
    wanted: NDArray[np.float64], count: int, share: NDArray[np.float64], taken: NDArray[np.float64]
) -> NDArray[np.int64]:
    """``count`` single samples of a class over the parts, near ``wanted``, none left empty if it can be helped."""
    wanted = np.where(share > 0, np.maximum(wanted, 0), 0)
    wanted = wanted * (count / wanted.sum()) if wanted.sum() > 0 else share * count
    quota = np.floor(wanted).astype(np.int64)
    rest = np.argsort(quota - wanted, kind="stable")[: count - int(quota.sum())]
    quota[rest] += 1
    for part in np.flatnonzero((share > 0) & (quota + taken == 0)):
        richest = int(np.argmax(quota))
        if quota[richest] > 1:
            quota[richest] -= 1
            quota[part] += 1
    return quota


def _search(
    counts: NDArray[np.float64], names: NDArray[np.uint64], share: NDArray[np.float64], seed: int, *, alone: bool
) -> NDArray[np.int64]:
    """Part of each unit, (U,), from class counts (U, C), so that each part has its share of each class.

    Units are dealt out one by one in a random order, each to the part where it helps most, then moved
    one at a time while that helps. The first order that comes near enough wins, otherwise the best of
    several: always taking the best would give every seed the same few groups to test on. What is
    minimised is the squared gap to the wanted counts over these, plus a penalty for a part that lacks a
    class (``alone``: no single rows will fill it).
    """
    used = np.flatnonzero(share > 0)
    target = np.outer(share[used], counts.sum(0))  # (P, C)
    weight = 1 / np.maximum(target, 1)
    empty = float(counts.sum()) if alone else 0.0

    def cost(held: NDArray[np.float64]) -> NDArray[np.float64]:
        gap = ((held - target) ** 2 * weight + empty * (held == 0)).sum((-2, -1))
        size = held.sum(-1)
        return np.asarray(gap + ((size - target.sum(1)) ** 2 / target.sum(1)).sum(-1))

    def near_enough(held: NDArray[np.float64]) -> bool:
        size_gap = np.abs(held.sum(1) - target.sum(1)).max() / counts.sum()
        class_gap = (np.abs(held - target) / counts.sum(0)).max()
        return bool(
            size_gap <= max(_NEAR_SIZE, counts.sum(1).max() / counts.sum() / 4)
            and class_gap <= max(_NEAR_CLASS, (counts / counts.sum(0)).max() / 4)
            and not (alone and (held == 0).any())
        )

    trials = _TRIALS if len(counts) <= _MANY else 1
    draws = uniforms(key(seed, "split", "group"), names, trials)
    eye = np.eye(len(used))[:, :, None]  # (move to, P, 1)
    best, lowest = np.zeros(len(counts), dtype=np.int64), np.inf
    for trial in range(trials):
        order = np.argsort(draws[:, trial], kind="stable")
        where = np.full(len(counts), -1, dtype=np.int64)
        held = np.zeros_like(target)
        for sweep in range(_SWEEPS if len(counts) <= _MANY else 1):
            moved = False
            for unit in order:
                if sweep:
                    held[where[unit]] -= counts[unit]
                to = int(np.argmin(cost(held[None] + eye * counts[unit])))
                held[to] += counts[unit]
                moved |= to != where[unit]
                where[unit] = to
            if not moved:
                break
        reached = float(cost(held[None])[0])
        if reached < lowest - 1e-9:
            best, lowest = where, reached
        if near_enough(held):
            return used[where]
    return used[best]

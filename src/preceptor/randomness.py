"""Counter-based random numbers: every draw is a pure function of what it is for.

Nothing here keeps state, so a resumed run, another worker count or another batch composition
sees the same numbers. The generator is the finaliser of SplitMix64 (Steele, Lea & Flood 2014)
applied to a running hash of the parts; only integer arithmetic and sorting are involved, so the
numbers are the same on every machine and under every version of numpy.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _scramble(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _bits(stream: int, ids: NDArray[np.uint64], draws: int) -> NDArray[np.uint64]:
    counter = np.arange(1, draws + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        start = _scramble(ids + np.uint64(stream) * _GOLDEN)
        return _scramble(start[:, None] + counter[None, :] * _GOLDEN)  # (N, draws)


def key(*parts: int | str) -> int:
    """A 64-bit key of ``parts``, the same on every machine and in every process.

    The number 1 and the text "1" give different keys, as do ("ab", "c") and ("a", "bc").
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        text = part.encode() if isinstance(part, str) else b"%d" % part
        digest.update(b"%s%d:" % (b"s" if isinstance(part, str) else b"i", len(text)))
        digest.update(text)
    return int.from_bytes(digest.digest(), "little")


def keys(names: Iterable[str]) -> NDArray[np.uint64]:
    """One 64-bit key per name, shape (N,); compute once per data set."""
    return np.array([key(name) for name in names], dtype=np.uint64)


def uniforms(stream: int, ids: NDArray[np.uint64], draws: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), shape (N, draws): row n depends on ``stream`` and ``ids[n]`` only.

    Args:
        stream: what the numbers are for, from :func:`key`, for example ``key(seed, "augment", view)``.
        ids: one key per sample, from :func:`keys`.
        draws: how many numbers each sample needs; asking for more leaves the first ones as they were.
    """
    return (_bits(stream, ids, draws) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(stream: int, size: int) -> NDArray[np.int64]:
    """A permutation of ``range(size)`` that depends on ``stream`` and ``size`` only."""
    bits = _bits(stream, np.arange(size, dtype=np.uint64), 1)[:, 0]
    return np.argsort(bits, kind="stable")


def generator(*parts: int | str) -> np.random.Generator:
    """A numpy generator of its own for ``parts``; for drawing pictures, where numbers needed are many and uneven."""
    return np.random.Generator(np.random.Philox(key=key(*parts)))

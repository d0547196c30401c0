"""The random generators that a process shares: of Python, numpy and torch, on the CPU and on GPUs."""

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def states(own: Iterable[torch.Generator] = ()) -> dict[str, Any]:
    """Where the generators stand, as tensors and plain values.

    Args:
        own: more generators of torch, such as a loader's.
    """
    version, numbers, gauss = random.getstate()
    _, values, *place = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [torch.from_numpy(np.asarray(values).astype(np.int64)), *place],
        "torch": torch.get_rng_state(),
        "cuda": _of_gpus(),
        "own": [one.get_state() for one in own],
    }


def restore(found: Mapping[str, Any], own: Iterable[torch.Generator] = ()) -> None:
    """Put the generators where :func:`states` found them."""
    version, numbers, gauss = found["python"]
    random.setstate((version, tuple(numbers), gauss))
    values, *place = found["numpy"]
    np.random.set_state(("MT19937", values.numpy().astype(np.uint32), *place))
    torch.set_rng_state(found["torch"])
    if found["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(found["cuda"])
    for one, state in zip(own, found["own"], strict=True):
        one.set_state(state)


def _of_gpus() -> list[torch.Tensor]:
    has_begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch has no types for it
    return torch.cuda.get_rng_state_all() if has_begun else []


@contextmanager
def untouched() -> Iterator[None]:
    """Leave threads and generators as they are, whatever runs in the block."""
    threads, before = torch.get_num_threads(), states()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        restore(before)

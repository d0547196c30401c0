"""The random generators that a process shares: of Python, numpy and torch, on the CPU and on GPUs."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from preceptor.face.generators import put_back, state_of
from preceptor.face.held import held_by


def states() -> dict[str, Any]:
    """Where the generators stand, as tensors and plain values."""
    version, numbers, gauss = random.getstate()
    _, values, *place = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [torch.from_numpy(np.asarray(values).astype(np.int64)), *place],
        "torch": torch.get_rng_state(),
        "cuda": _of_gpus(),
    }


def restore(found: Mapping[str, Any]) -> None:
    """Put the generators where :func:`states` found them."""
    version, numbers, gauss = found["python"]
    random.setstate((version, tuple(numbers), gauss))
    values, *place = found["numpy"]
    np.random.set_state(("MT19937", values.numpy().astype(np.uint32), *place))
    torch.set_rng_state(found["torch"])
    if found["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(found["cuda"])


def _of_gpus() -> list[torch.Tensor]:
    has_begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch has no types for it
    return torch.cuda.get_rng_state_all() if has_begun else []


@contextmanager
def untouched(holders: Mapping[str, object] | None = None) -> Iterator[None]:
    """Leave threads and generators as they are, whatever runs in the block.

    Args:
        holders: by name, what may hold generators of its own, which are left as they are too.
    """
    threads, before = torch.get_num_threads(), states()
    own = [(one, state_of(one)) for one in held_by(holders or {}).generators.values()]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        restore(before)
        for one, state in own:
            if state is not None:
                put_back(one, state)

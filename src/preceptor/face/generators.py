"""Random generators that somebody holds, of torch, numpy and Python: where they stand, as plain values."""

import random
from typing import Any

import numpy as np
import torch

Generator = torch.Generator | np.random.Generator | np.random.BitGenerator | np.random.RandomState | random.Random
"""What numbers are drawn from."""

State = dict[str, Any]
"""Where a generator stands: what ``torch.load(…, weights_only=True)`` reads."""

_SHARED = (torch.default_generator, np.random.mtrand._rand, random._inst)


def is_shared(one: Generator) -> bool:
    """Whether it is one of those that the whole process draws from."""
    return any(one is other for other in _SHARED)


def source_of(one: Generator) -> object:
    """What advances when it draws: two numpy generators may have one such source."""
    return one.bit_generator if isinstance(one, np.random.Generator) else one


def state_of(one: Generator) -> State | None:
    """Where it stands; None where nobody can know, as of ``random.SystemRandom``."""
    if isinstance(one, torch.Generator):
        return {"kind": f"torch on {one.device}", "at": one.get_state()}
    if isinstance(one, np.random.RandomState):
        at: Any = one.get_state(legacy=False)
        return {"kind": f"RandomState {at['bit_generator']}", "at": _plain(at)}
    if isinstance(one, random.Random):
        try:
            return {"kind": "Python", "at": _plain(one.getstate())}
        except NotImplementedError:
            return None
    at = _bits(one).state
    return {"kind": f"numpy {at['bit_generator']}", "at": _plain(at)}


def put_back(one: Generator, state: State) -> None:
    """Make it stand where :func:`state_of` found it, or another one of its kind."""
    if isinstance(one, torch.Generator):
        one.set_state(state["at"])
    elif isinstance(one, np.random.RandomState):
        one.set_state(_native(state["at"]))
    elif isinstance(one, random.Random):
        one.setstate(_native(state["at"]))
    else:
        _bits(one).state = _native(state["at"])


def _bits(one: np.random.Generator | np.random.BitGenerator) -> Any:
    return one.bit_generator if isinstance(one, np.random.Generator) else one


def _plain(value: Any) -> Any:
    """``value`` with lists in the place of arrays, which a checkpoint cannot hold."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "values": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value


def _native(value: Any) -> Any:
    """What :func:`_plain` was given."""
    if not isinstance(value, dict):
        return value
    if set(value) == {"dtype", "values"}:
        return np.array(value["values"], dtype=value["dtype"])
    return {key: _native(part) for key, part in value.items()}

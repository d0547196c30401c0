"""Networks made for their shapes alone: without numbers, at no cost, and without the compiler that torch fills with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_FILLS = (Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Tensors that are made have shapes and no numbers; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]), NothingDrawn(), torch.device("meta"):
        yield


class NothingDrawn(TorchFunctionMode):
    """While it lasts no random numbers are drawn for tensors that hold none.

    torch draws for such tensors too, by Python code of its compiler, which it loads for that.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func in _FILLS:
            tensor = args[0] if args else named["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **named)

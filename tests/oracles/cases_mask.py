"""Our losses on the tensors of an oracle case: masks."""

from collections.abc import Callable

from torch import Tensor

from .computed import Computed
from .draws import Case

METHODS: dict[str, Callable[[Case, dict[str, Tensor]], Computed]] = {}

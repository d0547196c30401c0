"""Loss terms of the steps of an epoch: their sums, and whether they are numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from preceptor.data.packed import PackedSet
from preceptor.errors import NonFiniteLossError


@dataclass(frozen=True, slots=True)
class Terms:
    """Loss terms of a batch.

    Args:
        names: of K terms.
        values: (K,) float32, without gradient.
    """

    names: tuple[str, ...]
    values: Tensor


class TermSums:
    """Sums of loss terms over the samples of an epoch; on a GPU it looks at them every 50 steps, so as not to wait.

    Args:
        packed: what the batches are of.
        start: sums of the part of the epoch that was done before.
    """

    def __init__(self, fabric: Fabric, packed: PackedSet, start: Mapping[str, float]) -> None:
        self._fabric, self._packed, self._start = fabric, packed, start
        self._every = 1 if fabric.device.type == "cpu" else 50
        self._unseen: list[tuple[Terms, int, int, Tensor]] = []
        self._sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, terms: Terms, epoch: int, step: int, rows: Tensor) -> None:
        """Take the terms of a batch of these ``rows``.

        Raises:
            NonFiniteLossError: a term is no finite number.
        """
        self._unseen.append((terms, epoch, step, rows))
        if len(self._unseen) >= self._every:
            self._look()
        if terms.names not in self._sums:
            begun = [self._start.get(name, 0.0) for name in terms.names]
            self._sums[terms.names] = torch.tensor(begun, dtype=torch.float64, device=terms.values.device)
        self._sums[terms.names] += terms.values.double() * len(rows)

    def totals(self) -> dict[str, float]:
        """By name, over all processes.

        Raises:
            NonFiniteLossError: a term is no finite number.
        """
        self._look()
        found = dict(self._start)
        for names, sums in self._sums.items():
            found |= zip(names, total_of(self._fabric, sums).tolist(), strict=True)
        return found

    def _look(self) -> None:
        """Stop where a term not yet looked at is no finite number."""
        if self._unseen and not torch.cat([terms.values for terms, *_ in self._unseen]).isfinite().all():
            for terms, epoch, step, rows in self._unseen:
                named = zip(terms.names, terms.values.tolist(), strict=True)
                if bad := [f"{name} = {value}" for name, value in named if not math.isfinite(value)]:
                    names = ", ".join(self._packed.frame["id"].iloc[rows.tolist()])
                    raise NonFiniteLossError(
                        f"the loss is no finite number: {'; '.join(bad)} in epoch {epoch}, step {step + 1}.\n"
                        f"Samples of this batch: {names}.\n"
                        "The last good checkpoint is kept. Try a lower training.lr, training.max_grad_norm=1, or "
                        "training.precision=32-true; `preceptor data inspect` finds damaged images."
                    )
        self._unseen.clear()


def total_of(fabric: Fabric, value: Tensor) -> Tensor:
    """Sum over all processes."""
    total = fabric.all_reduce(value, reduce_op="sum")
    assert isinstance(total, Tensor)
    return total

"""How the networks of a cohort are computed in a step."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class HowComputed:
    """Names of the networks that are computed otherwise than the others, and at what precision all are.

    Args:
        precision: dtype in which the networks compute under autocast; None keeps float32. Losses are float32.
        full_precision: networks that compute in float32 all the same.
        folded: frozen networks that answer with their BatchNorms folded (:mod:`~preceptor.machine.fold`).
        compiled: networks that are compiled (:mod:`~preceptor.machine.compiled`).
        batch_groups: how many batches a frozen network is asked about at once, 1 where not given.
    """

    precision: torch.dtype | None = None
    full_precision: frozenset[str] = frozenset()
    folded: frozenset[str] = frozenset()
    compiled: frozenset[str] = frozenset()
    batch_groups: Mapping[str, int] = field(default_factory=dict)

    def precision_of(self, network: str) -> torch.dtype | None:
        """The dtype in which a network computes under autocast; None for float32."""
        return None if network in self.full_precision else self.precision

"""One step of training: the loss terms of a batch, and what they do to the weights."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from preceptor.cohort.cohort import Cohort
from preceptor.cohort.frozen import FrozenOutputs
from preceptor.data.batches import Batch
from preceptor.networks.outputs import Outputs
from preceptor.plan.stage import Stage
from preceptor.training.terms import Terms
from preceptor.training.update import Update


class Step:
    """Trains on a batch, turn by turn.

    Args:
        learner: the cohort, as Fabric has it.
        frozen_outputs: gets what frozen networks say; None computes it.
    """

    def __init__(
        self,
        stage: Stage,
        cohort: Cohort,
        learner: Callable[..., Mapping[str, Tensor]],
        update: Update,
        frozen_outputs: FrozenOutputs | None = None,
    ) -> None:
        self._turns, self._learner, self._update = stage.turns or (None,), learner, update
        self._cohort, self._frozen_outputs = cohort, frozen_outputs

    def said(self, batch: Batch, epoch: int) -> dict[str, Outputs]:
        """What the frozen networks say of a batch."""
        return self._cohort.ask(batch, epoch, self._frozen_outputs)

    def __call__(
        self, batch: Batch, epoch: int, stream: int | None, share: float, said: Mapping[str, Outputs] | None = None
    ) -> list[Terms]:
        """The terms of every turn, each of which has changed the weights.

        Args:
            epoch: of the phase, the first is 1.
            stream: key of the step's random numbers; None where none are drawn.
            share: factor of the gradients.
            said: what frozen networks say of the batch, where that is known already.
        """
        said = self.said(batch, epoch) if said is None else said
        found = []
        for turn in self._turns:
            terms = self._learner(batch, epoch, stream, turn, said)
            values = torch.stack(tuple(terms.values()))
            self._update.gradients(values, share)
            self._update.weights()
            found.append(Terms(tuple(terms), values.detach()))
        return found

"""One step of training: the loss terms of a batch, and what they do to the weights."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from preceptor.data.batches import Batch
from preceptor.plan.stage import Stage
from preceptor.training.terms import Terms
from preceptor.training.update import Update


class Step:
    """Trains on a batch, turn by turn.

    Args:
        learner: the cohort, as Fabric has it.
    """

    def __init__(self, stage: Stage, learner: Callable[..., Mapping[str, Tensor]], update: Update) -> None:
        self._turns, self._learner, self._update = stage.turns or (None,), learner, update

    def __call__(self, batch: Batch, epoch: int, stream: int | None, share: float) -> list[Terms]:
        """The terms of every turn, each of which has changed the weights.

        Args:
            epoch: of the phase, the first is 1.
            stream: key of the step's random numbers; None where none are drawn.
            share: factor of the gradients.
        """
        found = []
        for turn in self._turns:
            terms = self._learner(batch, epoch, stream, turn)
            values = torch.stack(tuple(terms.values()))
            self._update.gradients(values, share)
            self._update.weights()
            found.append(Terms(tuple(terms), values.detach()))
        return found

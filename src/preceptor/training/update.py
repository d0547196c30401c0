"""What a step does with its loss terms: gradients, then new weights."""

from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from preceptor.cohort.cohort import Cohort
from preceptor.plan.stage import Stage
from preceptor.training.averages import Averages
from preceptor.training.optim import learning_rate, make_optimizer, parameter_groups, set_rate


class Stateful(Protocol):
    """Something that is saved in a checkpoint."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> object: ...


class Update:
    """The optimiser of a stage's learners, and what goes with it.

    Attributes:
        averages: moving averages of the weights, where the recipe wants them.

    Args:
        is_recorded: steps are recorded and replayed, so that numbers of the optimiser live on the device.
    """

    def __init__(self, stage: Stage, cohort: Cohort, fabric: Fabric, *, is_recorded: bool = False) -> None:
        spec = stage.training
        self._stage, self._fabric = stage, fabric
        self._owned = cohort.owned() if spec.max_grad_norm else {}
        self._learners = cohort.learners
        self._optimizer = make_optimizer(parameter_groups(cohort, stage.members), spec, is_recorded=is_recorded)
        self._scaler = torch.amp.GradScaler(fabric.device.type, enabled=spec.precision == "16-mixed")
        self.averages = Averages(cohort.learners, spec.ema) if spec.ema else None

    @property
    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds of it, by name."""
        parts: dict[str, Stateful] = {"optimizer": self._optimizer, "scaler": self._scaler}
        return parts | ({"averages": self.averages} if self.averages else {})

    def set_rate(self, epoch: float) -> None:
        """The learning rate at ``epoch`` of the phase, 0 at its start, fractions within an epoch."""
        set_rate(self._optimizer, learning_rate(self._stage.training, *self._stage.scheduled(epoch)))

    def gradients(self, terms: Tensor, share: float = 1.0) -> None:
        """Gradients of the sum of the loss ``terms`` (K,) times ``share``, in place of those of the last step."""
        self._optimizer.zero_grad()
        self._fabric.backward(self._scaler.scale(terms.sum() * share))

    def weights(self) -> None:
        """New weights from the gradients, clipped by network where the recipe wants it."""
        self._scaler.unscale_(self._optimizer)
        for parameters in self._owned.values():
            nn.utils.clip_grad_norm_(parameters, self._stage.training.max_grad_norm or 0.0)
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def average(self) -> None:
        """Take the new weights into the averages."""
        if self.averages:
            self.averages.update(self._learners)

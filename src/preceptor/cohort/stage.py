"""A stage trains one cohort for some epochs; a technique is a plan of stages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from preceptor.cohort.transfer import Transfer
from preceptor.networks.network import Network
from preceptor.specs import TrainingSpec


@dataclass(frozen=True, slots=True)
class Start:
    """Weights that an earlier stage left: the best by validation, or those after an epoch; by ``Stage.clock``."""

    stage: str
    network: str
    which: Literal["best"] | int = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A network of a stage, built when the stage begins.

    Args:
        build: makes it, weights included, the same every time; is given the members that ``builds_on`` names.
        builds_on: earlier members of the stage, of whose modules or outputs this one is made.
        trains: False freezes it: it only teaches.
        task_weight: factor of its own task loss.
        start: weights to take from earlier stages instead of the built ones. Several together hold every weight.
        lr, weight_decay: factors of the training's own; ``lr`` may be given by the first part of a parameter's name,
            with ``""`` for all others.
        kept_with: the network of the stage whose validation score chooses the weights of this one too, so that both
            are of one epoch; itself unless given.
    """

    build: Callable[..., Network]
    builds_on: tuple[str, ...] = ()
    trains: bool = True
    task_weight: float = 1.0
    start: Start | tuple[Start, ...] | None = None
    lr: float | Mapping[str, float] = 1.0
    weight_decay: float = 1.0
    kept_with: str | None = None

    @property
    def starts(self) -> tuple[Start, ...]:
        """Where its weights come from, if from earlier stages."""
        return self.start if isinstance(self.start, tuple) else (self.start,) if self.start else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several members, decided when its stage begins by how far the learners are from each.

    A distance is KL(candidate || learner) on the validation part, averaged over the learners as the stage that
    this one continues left them. The decision is kept in the run folder: a resumed run does not decide again.

    Args:
        candidates: by name, in an order in which a decision never goes back: they are measured from the one
            that the stage before decided for, the first where it decided nothing.
        decide: (distance by candidate, beginning with that one) -> the name of a candidate.
        temperature: of the distances' probabilities.
    """

    candidates: Mapping[str, Member]
    decide: Callable[[Mapping[str, float]], str]
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Some epochs of one cohort.

    Args:
        name: of its checkpoints and of its rows in ``metrics.csv``.
        transfers: makes the edges anew, each with a loss of its own.
        choices: members that are decided when the stage begins, by name; ``members`` holds one of the candidates.
        continues: an earlier stage whose networks, optimiser, schedule and clock go on in this one.
        phase: what random numbers are drawn for; stages that continue one another share it.
        first_epoch: epochs of the phase that came before this stage.
        phase_epochs: length of the phase, over which the learning rate is scheduled; ``epochs`` by default.
        restarts_schedule: the learning rate is scheduled over this stage alone.
        snapshots: epochs (of the phase, from 1) after which the weights are kept.
        turns: groups of networks updated one after another in each step; empty updates all at once.
        fold: (k, K) trains without the k-th of K grouped, stratified folds of the training part; k counts from 1.
    """

    name: str
    members: Mapping[str, Member]
    training: TrainingSpec
    transfers: Callable[[], list[Transfer]] = list
    choices: Mapping[str, Choice] = field(default_factory=dict)
    epochs: int = 0
    continues: str | None = None
    phase: str = ""
    first_epoch: int = 0
    phase_epochs: int = 0
    restarts_schedule: bool = False
    snapshots: frozenset[int] = frozenset()
    turns: tuple[tuple[str, ...], ...] = ()
    fold: tuple[int, int] | None = None

    @property
    def last_epoch(self) -> int:
        """Epochs of the phase that are done when this stage is."""
        return self.first_epoch + (self.epochs or self.training.epochs)

    @property
    def phase_end(self) -> int:
        """Epochs of the phase that are done when its last stage is."""
        return self.phase_epochs or self.last_epoch

    @property
    def clock(self) -> str:
        """The phase, by default the stage itself."""
        return self.phase or self.name

    def scheduled(self, epoch: float) -> tuple[float, int]:
        """(epoch, of how many) on which the learning rate at ``epoch`` of the phase (0 at its start) depends."""
        if self.restarts_schedule:
            return epoch - self.first_epoch, self.last_epoch - self.first_epoch
        return epoch, self.phase_end

    @property
    def learners(self) -> tuple[str, ...]:
        """Names of the networks that train."""
        return tuple(name for name, member in self.members.items() if member.trains)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a technique makes of a recipe.

    Args:
        students: the networks that are reported and form the ensemble.
        teacher: whom fidelity is measured against, if anyone.
        notes: what the user should know before training, one sentence each.
    """

    stages: tuple[Stage, ...]
    students: tuple[str, ...]
    teacher: str | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)

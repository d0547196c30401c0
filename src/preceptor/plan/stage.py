"""A plan is a row of stages; a stage trains one cohort for some epochs. All of it is values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.given import Given
from preceptor.plan.network import Composed, NetworkUse
from preceptor.plan.probe import Probe
from preceptor.specs import TrainingSpec


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Weights that an earlier stage left: the best by validation, or those after an epoch; by ``Stage.clock``."""

    stage: str
    network: str
    which: Literal["best"] | int = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A network of a stage, made anew when the stage begins.

    Args:
        network: what it is, weights included.
        trains: False freezes it: it only teaches.
        task_weight: factor of its own task loss.
        start: weights to take from earlier stages instead of its own. Several together hold every weight.
        lr, weight_decay: factors of the training's own; ``lr`` may be given by the first part of a parameter's name,
            with ``""`` for all others.
        kept_with: the network of the stage whose validation score chooses the weights of this one too, so that both
            are of one epoch; itself unless given.
        features_only: nobody reads what it says of the classes, so its head may be one of random numbers.
    """

    network: NetworkUse | Composed
    trains: bool = True
    task_weight: float = 1.0
    start: WarmStart | tuple[WarmStart, ...] | None = None
    lr: float | Mapping[str, float] = 1.0
    weight_decay: float = 1.0
    kept_with: str | None = None
    features_only: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.lr, Mapping):
            object.__setattr__(self, "lr", FrozenMap(self.lr))

    @property
    def builds_on(self) -> tuple[str, ...]:
        """Earlier members of the stage, of whose modules or outputs it is made."""
        return self.network.reads if isinstance(self.network, Composed) else ()

    @property
    def starts(self) -> tuple[WarmStart, ...]:
        """Where its weights come from, if from earlier stages."""
        return self.start if isinstance(self.start, tuple) else (self.start,) if self.start else ()


class Rule(Protocol):
    """How one of several members is decided for; a value too."""

    def decide(self, distances: Mapping[str, float]) -> str:
        """The name of a candidate, given how far the learners are from each, beginning with the present one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChoice:
    """One of several members, decided when its stage begins by how far the learners are from each.

    A distance is KL(candidate || learner) on the validation part, averaged over the learners as the stage that
    this one continues left them. The decision is kept in the run folder: a resumed run does not decide again.

    Args:
        candidates: by name, in an order in which a decision never goes back: they are measured from the one
            that the stage before decided for, the first where it decided nothing.
        temperature: of the distances' probabilities.
    """

    candidates: Mapping[str, Member]
    rule: Rule
    temperature: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", FrozenMap(self.candidates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Some epochs of one cohort.

    Args:
        name: of its checkpoints and of its rows in ``metrics.csv``.
        choices: members that are decided when the stage begins, by name; ``members`` holds one of the candidates.
        continues: an earlier stage whose networks, optimiser, schedule and clock go on in this one.
        phase: what random numbers are drawn for; stages that continue one another share it.
        first_epoch: epochs of the phase that came before this stage.
        phase_epochs: length of the phase, over which the learning rate is scheduled; ``epochs`` by default.
        restarts_schedule: the learning rate is scheduled over this stage alone.
        snapshots: epochs (of the phase, from 1) after which the weights are kept.
        turns: groups of networks updated one after another in each step; empty updates all at once.
        fold: (k, K) trains without the k-th of K grouped, stratified folds of the training part; k counts from 1.
        unlabelled: labels are not read: it trains on the whole training part, also what ``shots`` and
            ``train_fraction`` leave out of the others, and leaves as the best the weights with the smallest loss of
            knowledge on the validation part.
        instead: the option by which a user may give what this stage leaves: ``technique.teacher`` takes one folder or
            file, an option in the plural (``technique.teachers``, ``technique.snapshots``) a list.
        probe: takes the place of the epochs.
    """

    name: str
    members: Mapping[str, Member]
    training: TrainingSpec
    edges: tuple[Edge[LossUse], ...] = ()
    choices: Mapping[str, MemberChoice] = field(default_factory=FrozenMap)
    epochs: int = 0
    continues: str | None = None
    phase: str = ""
    first_epoch: int = 0
    phase_epochs: int = 0
    restarts_schedule: bool = False
    snapshots: frozenset[int] = frozenset()
    turns: tuple[tuple[str, ...], ...] = ()
    fold: tuple[int, int] | None = None
    unlabelled: bool = False
    instead: str = ""
    probe: Probe | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", FrozenMap(self.members))
        object.__setattr__(self, "choices", FrozenMap(self.choices))
        object.__setattr__(self, "edges", tuple(self.edges))

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

    @property
    def every_member(self) -> Iterator[tuple[str, Member]]:
        """The members and all that could be decided for, by name."""
        yield from self.members.items()
        for name, choice in self.choices.items():
            yield from ((name, member) for member in choice.candidates.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a technique makes of a recipe.

    Args:
        students: the networks that are reported and form the ensemble.
        teacher: whom fidelity is measured against, if anyone.
        references: networks that are reported beside the students and belong to no ensemble.
        student_alone: the run with which the teacher is compared, where the user names one.
        notes: what the user should know before training, one sentence each.
        lacks: what the user must settle before it can be trained, in words; empty where nothing is open.
    """

    stages: tuple[Stage, ...]
    students: tuple[str, ...]
    teacher: str | None = None
    references: tuple[str, ...] = ()
    student_alone: Given | None = None
    notes: tuple[str, ...] = ()
    lacks: str = ""

    @property
    def reported(self) -> tuple[str, ...]:
        """Every network that is scored and exported: the teacher, the students, and what they are compared with."""
        return (*filter(None, [self.teacher]), *self.students, *self.references)

    @property
    def networks(self) -> dict[NetworkUse, str]:
        """Every network of its own that takes part, and the first name that it has."""
        found: dict[NetworkUse, str] = {}
        for stage in self.stages:
            for name, member in stage.every_member:
                inside = member.network.options.values() if isinstance(member.network, Composed) else (member.network,)
                for network in inside:
                    if isinstance(network, NetworkUse):
                        found.setdefault(network, name)
        return found

    @property
    def needs(self) -> tuple[Given, ...]:
        """The weights from outside that the plan begins with, each once."""
        found: dict[Given, None] = {}
        for network in self.networks:
            if network.given:
                found[network.given] = None
            elif network.spec and network.spec.from_disk:
                found[Given(f"networks, weights of {network.name}", network.spec.from_disk)] = None
        return tuple(found)

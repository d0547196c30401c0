"""Who takes part: what a technique is told of a recipe, and nothing of files or modules."""

from dataclasses import dataclass, field, replace
from typing import Protocol

from preceptor.errors import UserError
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.given import Given
from preceptor.plan.network import NetworkUse, SharedWidth
from preceptor.plan.stage import Member, Stage, WarmStart
from preceptor.specs import NetworkSpec, Task, TrainingSpec

TEACHER = "T"


def is_teacher(name: str) -> bool:
    """Whether it is the name of a teacher: T, or T1, T2, … of several."""
    return name == TEACHER or (name.startswith(TEACHER) and name[1:].isdigit())


class Facts(Protocol):
    """What only the library of a network, or its weights, can tell."""

    def stages(self, spec: NetworkSpec) -> int:
        """How many stages a network has."""
        ...

    def blocks(self, spec: NetworkSpec) -> int:
        """Of how many blocks it is the chain."""
        ...

    def is_trained(self, network: NetworkUse) -> bool:
        """Whether it begins with a head that was trained for the data's classes, and with its adapter."""
        ...


class Usual:
    """What is taken to be so as long as no library is asked.

    Args:
        trained: whether weights that may have a head for the data's classes have one.

    Attributes:
        assumed: what was, one sentence each.
    """

    def __init__(self, *, trained: bool = True) -> None:
        self._trained = trained
        self.assumed: dict[str, None] = {}

    def stages(self, spec: NetworkSpec) -> int:
        """Four, as nearly every classifier has."""
        self.assumed[
            f"{spec.architecture} is taken to have 4 stages, as most have; they are counted when training begins"
        ] = None
        return 4

    def blocks(self, spec: NetworkSpec) -> int:
        """One for each stage, and what comes after them."""
        return self.stages(spec) + 1

    def is_trained(self, network: NetworkUse) -> bool:
        """As said."""
        self.assumed[
            f"{network.name} is taken to have a head for these classes; its weights are read when training begins"
        ] = None
        return self._trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Teachers and students of a recipe with what a technique needs to know of them.

    Args:
        source: of the images: the key of their data source.
        students: by name, S1, S2, …
        teacher, teachers: the one, or several in its place.
        training: of the stages in which students learn.
        teacher_training: of a stage in which a teacher learns alone.
        goes_on: the recipe says how teachers are trained, even those that are trained already.
        monitor: the validation score that chooses weights.
        shots: how many images of each class there are to learn from, where they are few.
        has_labels: whether any label is read.
        facts: of networks; the usual ones unless a library is asked.
    """

    task: Task
    source: str
    students: FrozenMap[NetworkSpec]
    teacher: NetworkSpec | None
    teachers: tuple[NetworkSpec, ...]
    training: TrainingSpec
    teacher_training: TrainingSpec
    goes_on: bool
    monitor: str
    shots: int | None = None
    has_labels: bool = True
    facts: Facts = field(default_factory=Usual, compare=False)

    def student(self, name: str, adapter: SharedWidth | None = None) -> NetworkUse:
        """The student called ``name``."""
        return NetworkUse(name=name, spec=self.students[name], adapter=adapter)

    def the_teacher(self, given: str | Given | None = None, adapter: SharedWidth | None = None) -> NetworkUse:
        """The one teacher, from the weights that ``technique.teacher`` or another option gives, if any.

        Raises:
            UserError: the recipe names none.
        """
        if self.teacher is None:
            raise UserError("networks.teacher: there is none; name the network that is to teach")
        weights = Given("technique.teacher", given) if isinstance(given, str) else given
        return NetworkUse(name=TEACHER, spec=self.teacher, given=weights or None, adapter=adapter)

    def takes(self, teacher: NetworkUse) -> bool:
        """Whether a teacher is taken as it is instead of being trained in a stage of its own first.

        So it is where an option of the technique gives it, and where ``networks`` names weights with a head for these
        classes, unless ``teacher_training`` says how to train it further.
        """
        if teacher.given:
            return True
        may_be = teacher.spec is not None and teacher.spec.may_be_trained and not self.goes_on
        return may_be and self.facts.is_trained(teacher)

    def alone(self, teacher: NetworkUse, *, stage: str = "teacher", instead: str = "") -> Stage:
        """The stage in which a teacher learns alone; ``instead`` is the option that spares it, if there is one."""
        members = {teacher.name: Member(network=teacher)}
        return Stage(name=stage, members=members, training=self.teacher_training, instead=instead)

    def before(self, teacher: NetworkUse, *, stage: str = "teacher", instead: str) -> tuple[Stage, ...]:
        """The stage in which a teacher learns alone before it teaches; none where it is taken as it is."""
        return () if self.takes(teacher) else (self.alone(teacher, stage=stage, instead=instead),)

    def frozen(self, teacher: NetworkUse, *, of: str = "teacher") -> Member:
        """A teacher that only teaches: as it is taken, or the best by validation of the stage ``of``."""
        return Member(network=teacher, trains=False, start=None if self.takes(teacher) else WarmStart(of, teacher.name))


def keeping_snapshots(stage: Stage, every: int) -> Stage:
    """A stage of all its epochs that keeps the weights after ``every`` epochs each, and after the last."""
    epochs = stage.training.epochs
    training = stage.training.model_copy(update={"patience": None})
    return replace(stage, training=training, snapshots=frozenset({*range(every, epochs, every), epochs}))

"""What a technique is: options that a recipe can set, and a plan made of them."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import Field, model_validator

from preceptor.errors import UserError
from preceptor.knowledge.catalogue import check_options, entry_for
from preceptor.plan.cast import Cast
from preceptor.plan.edge import Edge, LossUse, Ramp
from preceptor.plan.given import Given
from preceptor.plan.stage import Member, Plan
from preceptor.specs import Fraction, Model, Task

PerStudent = Fraction | tuple[Fraction, ...]
Default = TypeVar("Default", float, None)


class LossSpec(Model):
    """A knowledge loss by key (``preceptor methods`` lists them) or ``file.py:ClassName``.

    What is not given is the method's published setting.

    Args:
        loss: which one.
        weight: the factor of its value.
        student_tap: the student's feature map that is compared, or several.
        teacher_tap: the teacher's.
        warmup: epochs over which the weight rises.
        options: of the loss.
    """

    loss: str
    weight: float | None = None
    student_tap: str | tuple[str, ...] | None = None
    teacher_tap: str | tuple[str, ...] | None = None
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_options(self) -> Self:
        check_options(entry_for(self.loss), self.options)
        return self

    def edge(self, source: str, target: str, task: Task, *, stop_gradient: bool = True) -> Edge[LossUse]:
        """The edge with this loss, and the published setting for what it leaves out."""
        entry = entry_for(self.loss)
        setting = entry.settings.get(task)
        if setting is None:
            raise UserError(f"loss {self.loss!r} is for {', '.join(entry.settings)}; this recipe's task is {task}")
        warmup = setting.warmup if self.warmup is None else self.warmup
        return Edge(
            source=source,
            target=target,
            loss=LossUse(self.loss, **check_options(entry, self.options)),
            weight=setting.weight if self.weight is None else self.weight,
            student_tap=self.student_tap,
            teacher_tap=self.teacher_tap,
            ramp=Ramp(epochs=warmup) if warmup else None,
            stop_gradient=stop_gradient,
        )


class Technique(Model):
    """Base of all techniques: a subclass whose ``name`` is a ``Literal`` is one. Its fields are its options.

    The docstring's first line says what it does, ``Source:`` where it comes from, ``Args:`` what its options mean.

    Args:
        name: which technique; the others here mean the same in every technique that has them.
        temperature: by which logits are divided before they are compared.
        direction: of the Kullback-Leibler divergence: ``forward`` is KL(teacher || student).
        alpha: share of the labels in a student's loss; one number, or one for each student.
        beta: share of the teacher.
        gamma: share of the peers.
        teacher: a run folder or weights to take the teacher from.
        student_alone: run folder of the baseline that a teacher is compared with.

    Class attributes:
        tasks: in which the technique has a meaning.
        instead: why not in the other one, and what to take there.
        fewest_students: how many it takes to make sense.
        takes_teachers: whether ``networks.teachers`` may list several.
        leaves_labels_unread: whether a stage reads no labels, so that no label may decide on the split either.
        learns_without_labels: whether it can do without any.
    """

    tasks: ClassVar[tuple[Task, ...]] = get_args(Task)
    instead: ClassVar[str] = ""
    fewest_students: ClassVar[int] = 1
    takes_teachers: ClassVar[bool] = False
    leaves_labels_unread: ClassVar[bool] = False
    learns_without_labels: ClassVar[bool] = False

    name: str

    @abstractmethod
    def plan(self, cast: Cast) -> Plan:
        """The stages that the technique makes for these networks, as values."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The name by which recipes choose it; none for what only others extend."""
        return get_args(cls.model_fields["name"].annotation)

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The options that have a meaning in it."""
        return tuple(field for field in cls.model_fields if field != "name")

    def require_students(self, count: int) -> None:
        """Refuse a number of students for which the technique has no meaning.

        Raises:
            ValueError: there are too few, or too many.
        """
        fewest = self.fewest_students
        if count < fewest:
            words = {2: "two"}.get(fewest, str(fewest))
            raise ValueError(f"{self.name} wants at least {words} students (`networks.count: {fewest}`)")

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher takes part."""
        return False

    @property
    def brings_teachers(self) -> bool:
        """Whether teachers are given that need no mention under ``networks``."""
        return False

    @property
    def losses_named(self) -> tuple[LossSpec, ...]:
        """The knowledge losses that the recipe names."""
        return ()

    @property
    def shared(self) -> str | None:
        """The strategy by which networks share, where there is one."""
        return None

    @property
    def adapter_asked(self) -> str | None:
        """``auto``, ``always`` or ``never``, where the recipe can ask for a convolution inside the teacher."""
        return None


def given(option: str, path: str | None) -> Given | None:
    """What the user names in ``technique.OPTION``, if anything."""
    return Given(f"technique.{option}", path) if path else None


def students_of(cast: Cast, task_weights: Iterable[float] | None = None) -> dict[str, Member]:
    """The students as members that learn, by name."""
    weights = [1.0] * len(cast.students) if task_weights is None else task_weights
    return {
        name: Member(network=cast.student(name), task_weight=weight)
        for name, weight in zip(cast.students, weights, strict=True)
    }


def per_student(name: str, given: PerStudent | None, count: int, *, default: Default) -> list[float | Default]:
    """One value of option ``technique.name`` for each of ``count`` students."""
    if not isinstance(given, tuple):
        return [default if given is None else given] * count
    if len(given) != count:
        raise UserError(f"technique.{name}: {len(given)} values for {count} students; give one value or {count}")
    return list(given)

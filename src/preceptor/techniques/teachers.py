"""Several teachers: T1 … TK, given or trained in the run, and the committee T that they form."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from preceptor.errors import UserError
from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.given import Given
from preceptor.plan.network import Composed, NetworkUse
from preceptor.plan.stage import Member, Stage
from preceptor.specs import NEEDS_LABELS, Integration
from preceptor.techniques.base import Technique


class TaughtBySeveral(Technique):
    """Base of techniques in which several teachers may teach as one committee: those of ``networks.teachers``, or
    those that the option ``teachers`` gives."""

    takes_teachers: ClassVar[bool] = True

    teachers: tuple[str, ...] = ()

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True

    @property
    def brings_teachers(self) -> bool:
        return bool(self.teachers)


def teachers_of(cast: Cast, given: Sequence[str], *, folds: int | None = None) -> dict[str, NetworkUse]:
    """T1 … TK: from the weights in ``technique.teachers`` where given, else as the run is to train them.

    What is given has the architecture, input size and normalisation that ``networks.teachers`` says, else those that
    its folder was saved with, else those of ``networks.teacher``.

    Raises:
        UserError: numbers that do not fit each other.
    """
    listed, one = cast.teachers, cast.teacher
    if folds and listed:
        raise UserError(
            "technique.folds: all teachers are of one architecture, networks.teacher; leave out networks.teachers"
        )
    if given and listed and len(given) != len(listed):
        raise UserError(
            f"technique.teachers: {len(given)} given for {len(listed)} networks.teachers; give one for each, in order"
        )
    if not given:
        specs = listed or ((one,) * (folds or 1) if one else ())
        return {f"T{number}": NetworkUse(name=f"T{number}", spec=spec) for number, spec in enumerate(specs, start=1)}
    return {
        f"T{number}": NetworkUse(
            name=f"T{number}",
            spec=listed[number - 1] if listed else one,
            given=Given(f"technique.teachers, number {number}", path),
            as_saved=not listed,
        )
        for number, path in enumerate(given, start=1)
    }


def teacher_stages(cast: Cast, teachers: Mapping[str, NetworkUse], *, folds: int | None = None) -> tuple[Stage, ...]:
    """A stage for each teacher that trains it alone; none for those that are taken as they are.

    Args:
        folds: the k-th is trained without the k-th of so many folds of the training part.

    Raises:
        UserError: a trained network in the place of those that ``folds`` is to train.
    """
    taken = [name for name, teacher in teachers.items() if cast.takes(teacher)]
    if folds and taken:
        raise UserError(
            f"technique.folds: {folds} teachers are to be trained, each without a fold, but networks.teacher has "
            "trained weights, which would be taken as they are; leave one out, or say with teacher_training how to "
            "train them further"
        )
    return tuple(
        replace(stage, fold=(number, folds) if folds else None)
        for number, (name, teacher) in enumerate(teachers.items(), start=1)
        for stage in cast.before(teacher, stage=_stage(name), instead="technique.teachers")
    )


def committee(
    cast: Cast,
    teachers: Mapping[str, NetworkUse],
    *,
    integration: Integration,
    temperature: float,
    power: float | None = None,
) -> dict[str, Member]:
    """T1 … TK, frozen, and after them their committee T.

    Those that are not taken as they are start from what :func:`teacher_stages` leaves.
    """
    options = FrozenMap({"integration": integration, "temperature": temperature, "power": power})
    together = Composed(name=TEACHER, kind="committee", reads=tuple(teachers), options=options)
    members = {name: cast.frozen(teacher, of=_stage(name)) for name, teacher in teachers.items()}
    return {**members, TEACHER: Member(network=together, trains=False)}


def committee_notes(integration: Integration) -> tuple[str, ...]:
    """What the user should know of a committee before training."""
    if integration not in NEEDS_LABELS:
        return ()
    return (
        f"The committee T weighs its teachers by the training labels ({integration}); where it is evaluated, labels "
        "are unknown and its teachers weigh equally.",
    )


def best_teacher(teachers: Mapping[str, NetworkUse], monitor: str) -> str:
    """The name of the teacher with the best validation score in its own run; the first of equals.

    Raises:
        UserError: several teachers, and one that no finished run tells the score of.
    """
    if len(teachers) < 2:
        return "T1"
    given = {name: teacher.given for name, teacher in teachers.items() if teacher.given}
    if not given:
        raise UserError(
            "technique.host: which teacher is best is not known before this run has trained them; name one, for "
            "example technique.host=T1, or give trained ones as technique.teachers"
        )
    scores = {name: one.score(monitor) for name, one in given.items()}
    unknown = [f"{name} ({given[name].path})" for name, score in scores.items() if score is None]
    if unknown:
        raise UserError(
            f"technique.teachers: no result.json beside {', '.join(unknown)} tells a validation {monitor}, so which "
            f"teacher is best cannot be known; give finished run folders, or name one: technique.host=T1"
        )
    return max(scores, key=lambda name: scores[name] or 0.0)


def _stage(teacher: str) -> str:
    """``teacher2`` for T2."""
    return f"teacher{teacher.removeprefix('T')}"

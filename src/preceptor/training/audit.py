"""Is the teacher any better than the student alone? Asked before anyone trusts a gain."""

import os
from collections.abc import Sequence
from pathlib import Path

from preceptor.cohort.cohort import Cohort
from preceptor.composed.base import ComposedNetwork, standing
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.networks.network import Network
from preceptor.plan.cast import is_teacher
from preceptor.plan.merge import unshared
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.files import RunFiles, runs_below
from preceptor.runs.finished import read_finished
from preceptor.runs.result import ConstantAnswer, TeacherAudit
from preceptor.techniques.baseline import Baseline
from preceptor.training.evaluate import Evaluation
from preceptor.training.trivial import trivial_answer


def require_student_alone(plan: Plan, recipe: Recipe) -> None:
    """Refuse, before training, a ``technique.student_alone`` with which no teacher can be compared.

    Raises:
        UserError: no finished run there, or one without students or without this recipe's score.
    """
    if plan.student_alone is None:
        return
    given = plan.student_alone.path
    advice = (
        "Give the folder of a finished run with technique.name=baseline, or leave it out: a baseline with the same "
        "data, split, training and seed beside this run is found by itself."
    )
    files = RunFiles(expand(given))
    found = read_finished(files.folder)
    if found is None:
        raise UserError(
            f"technique.student_alone: {given!r} is no finished run: it has no {files.result.name}.\n{advice}"
        )
    scores = found.result.validation
    if not any(recipe.monitor in scores.get(name, {}) for name in recipe.networks.peers):
        raise UserError(
            f"technique.student_alone: {given!r} has no validation {recipe.monitor} of "
            f"{', '.join(recipe.networks.peers)}; it has {', '.join(scores)}.\n{advice}"
        )


def trained_teachers(stage: Stage, cohort: Cohort, known: set[tuple[object, ...]]) -> dict[str, Network]:
    """The teachers of a stage that have been trained when it begins, each standing alone, but for those in ``known``.

    They are added to ``known``: a teacher of several stages, or under several names, is met once.
    """
    found = {}
    for name, network in standing(cohort.networks).items() if cohort.transfers else ():
        member = stage.members[name]
        if not is_teacher(unshared(name)) or not _is_trained(member, network):
            continue
        which = (member.network, member.starts)
        if which not in known and not (isinstance(network, ComposedNetwork) and len(network.inlets) == 1):
            known.add(which)
            found[name] = network
    return found


def _is_trained(member: Member, network: Network) -> bool:
    return not member.trains or bool(member.starts) or not network.has_new_head


def before_teaching(recipe: Recipe, classes: Sequence[str], validation: Evaluation) -> list[tuple[str, bool]]:
    """A sentence for each teacher evaluated, beside the constant answer; True where it is a warning."""
    metric, found = recipe.monitor, []
    for name, scores in validation.scores.items():
        trivial = trivial_answer(validation.table, name, classes=classes, measure=validation.measures[metric])
        against = trivial.verdict(scores[metric], metric, who=f"teacher {unshared(name)}")
        plain = f"teacher {unshared(name)} before it teaches: validation {metric} {scores[metric]:.4f}"
        found.append((against or f"{plain}, always answering {trivial.answer!r} {trivial.score:.4f}", bool(against)))
    return found


def audit_teacher(
    recipe: Recipe, run: Path, plan: Plan, validation: Evaluation, classes: Sequence[str]
) -> TeacherAudit | None:
    """Compare the teacher's validation score with that of the student trained alone, and with a constant answer.

    The student alone is the run ``technique.student_alone``, or a finished baseline beside ``run`` with the
    same data, split, student, training and seed. Returns None for a plan without teacher.
    """
    if plan.teacher is None:
        return None
    metric = recipe.monitor
    teacher = validation.scores[plan.teacher][metric]
    trivial = trivial_answer(validation.table, plan.teacher, classes=classes, measure=validation.measures[metric])
    against = trivial.verdict(teacher, metric)
    constant = ConstantAnswer(answer=trivial.answer, score=trivial.score, beaten=against is None)
    prefix = f"{against}; " if against else ""
    alone = expand(plan.student_alone.path) if plan.student_alone else _baseline_beside(recipe, run)
    found = read_finished(alone) if alone else None
    if alone is None or found is None:
        words = (
            "not audited: no finished run of the student alone with the same data, split, training "
            "and seed stands beside this run; train one with technique.name=baseline before trusting a gain"
        )
        return TeacherAudit(metric=metric, teacher=teacher, constant_answer=constant, verdict=prefix + words)
    scores = found.result.validation
    student = max(scores[name][metric] for name in plan.students if name in scores)
    words = (
        f"the teacher is better than the student alone on validation ({metric} {teacher:.4f} against {student:.4f})"
        if teacher > student
        else f"the teacher is NOT better than the student alone on validation ({metric} {teacher:.4f} against "
        f"{student:.4f}): a gain of the students cannot be put down to its knowledge"
    )
    return TeacherAudit(
        metric=metric,
        teacher=teacher,
        constant_answer=constant,
        student_alone=student,
        run=_called(alone, run),
        verdict=prefix + words,
    )


def _called(alone: Path, run: Path) -> str:
    """The run of the student alone as seen from ``run``, so that both may move; its name where it lies far away."""
    found = os.path.relpath(alone.resolve(), run.resolve())
    return found if found.count("..") <= 2 else alone.name


def _baseline_beside(recipe: Recipe, run: Path) -> Path | None:
    wanted = _comparable(recipe)
    for other in runs_below(run.resolve().parent):
        try:
            if read_finished(other) is None:
                continue
            written, _ = load_recipe(RunFiles(other).recipe)
        except UserError:  # damaged, of another version, or not a recipe at all
            continue
        technique = written.technique
        is_alone = isinstance(technique, Baseline) and not technique.is_lone_teacher
        if is_alone and _comparable(written) == wanted:
            return other
    return None


def _comparable(recipe: Recipe) -> tuple[object, ...]:
    """What a student alone shares with a distilled one."""
    shared = (recipe.task, recipe.data, recipe.split, recipe.augment, recipe.task_loss, recipe.training, recipe.seed)
    return (*shared, recipe.networks.peers)

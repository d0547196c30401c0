"""Is the teacher any better than the student alone? Asked before anyone trusts a gain."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preceptor.cohort.stage import Plan
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.recipe import Recipe, load_recipe
from preceptor.technique_specs import MixtureSpec


def require_student_alone(recipe: Recipe) -> None:
    """Refuse, before training, a ``technique.student_alone`` with which no teacher can be compared.

    Raises:
        UserError: no finished run there, or one without students or without this recipe's score.
    """
    given = getattr(recipe.technique, "student_alone", None)
    if not given:
        return
    advice = (
        "Give the folder of a finished run with technique.name=baseline, or leave it out: a baseline with the same "
        "data, split, training and seed beside this run is found by itself."
    )
    result = expand(given) / "result.json"
    if not result.exists():
        raise UserError(f"technique.student_alone: {given!r} is no finished run: it has no result.json.\n{advice}")
    scores = json.loads(result.read_text())["validation"]
    if not any(recipe.monitor in scores.get(name, {}) for name in recipe.networks.peers):
        raise UserError(
            f"technique.student_alone: {given!r} has no validation {recipe.monitor} of "
            f"{', '.join(recipe.networks.peers)}; it has {', '.join(scores)}.\n{advice}"
        )


def audit_teacher(
    recipe: Recipe, run: Path, plan: Plan, validation: Mapping[str, Mapping[str, float]]
) -> dict[str, Any] | None:
    """Compare the teacher's validation score with that of the student trained alone.

    The student alone is the run ``technique.student_alone``, or a finished baseline beside ``run`` with the
    same data, split, student, training and seed. Returns None for a plan without teacher.
    """
    if plan.teacher is None:
        return None
    metric = recipe.monitor
    teacher = validation[plan.teacher][metric]
    given = getattr(recipe.technique, "student_alone", None)
    alone = expand(given) if given else _baseline_beside(recipe, run)
    if alone is None or not (alone / "result.json").exists():
        return {
            "metric": metric,
            "teacher": teacher,
            "student_alone": None,
            "verdict": "not audited: no finished run of the student alone with the same data, split, training and seed "
            "stands beside this run; train one with technique.name=baseline before trusting a gain",
        }
    found = json.loads((alone / "result.json").read_text())
    student = max(found["validation"][name][metric] for name in plan.students if name in found["validation"])
    words = (
        f"the teacher is better than the student alone on validation ({metric} {teacher:.4f} against {student:.4f})"
        if teacher > student
        else f"the teacher is NOT better than the student alone on validation ({metric} {teacher:.4f} against "
        f"{student:.4f}): a gain of the students cannot be put down to its knowledge"
    )
    return {
        "metric": metric,
        "teacher": teacher,
        "student_alone": student,
        "run": _called(alone, run),
        "verdict": words,
    }


def _called(alone: Path, run: Path) -> str:
    """The run of the student alone as seen from ``run``, so that both may move; its name where it lies far away."""
    found = os.path.relpath(alone.resolve(), run.resolve())
    return found if found.count("..") <= 2 else alone.name


def _baseline_beside(recipe: Recipe, run: Path) -> Path | None:
    wanted = _comparable(recipe)
    for other in sorted(run.resolve().parent.glob("*/recipe.yaml")):
        if not (other.parent / "result.json").exists():
            continue
        try:
            written, _ = load_recipe(other)
        except UserError:  # of another version, or not a recipe at all
            continue
        technique = written.technique
        is_alone = isinstance(technique, MixtureSpec) and (technique.name, technique.network) == ("baseline", "student")
        if is_alone and _comparable(written) == wanted:
            return other.parent
    return None


def _comparable(recipe: Recipe) -> tuple[object, ...]:
    """What a student alone shares with a distilled one."""
    shared = (recipe.task, recipe.data, recipe.split, recipe.augment, recipe.task_loss, recipe.training, recipe.seed)
    return (*shared, recipe.networks.peers)

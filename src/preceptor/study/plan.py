"""From a study to its jobs: which runs there are, which they share, and what must be done before what."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from preceptor.errors import UserError
from preceptor.recipe import MixtureSpec, Recipe, changed_recipe, parse_recipe
from preceptor.study.grid import cells
from preceptor.study.spec import Study

Kind = Literal["run", "teacher", "baseline"]

FROM_A_TRAINED_TEACHER = frozenset({"kd_offline", "dynamic_kd"})
"""Techniques that begin by training a teacher alone and take a finished one instead as ``technique.teacher``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a study.

    Args:
        id: name of its folder; ends with the digest of everything that the run depends on.
        kind: a cell's ``run``, a ``teacher`` alone, or a ``baseline``: the students alone.
        cell: axis -> option; of shared jobs, only where all cells that share them agree.
        recipe: what to train, but for the teacher's folder.
        teacher: the job whose folder becomes ``technique.teacher``.
        after: jobs that must be over, done or failed, before this begins: a finished baseline beside a run
            is what its teacher is audited against.
    """

    id: str
    kind: Kind
    cell: Mapping[str, str]
    seed: int
    recipe: Recipe
    teacher: str | None = None
    after: tuple[str, ...] = ()

    def folder(self, out: Path) -> Path:
        """Its run folder in the study's folder ``out``."""
        return out / "runs" / self.id

    def recipe_in(self, out: Path) -> Recipe:
        """The complete recipe, teacher included."""
        if self.teacher is None:
            return self.recipe
        return _with(self.recipe, technique={"teacher": str((out / "runs" / self.teacher).resolve())})


@dataclass
class _Shared:
    """A job in the making that several cells need."""

    kind: Kind
    recipe: Recipe
    cell: dict[str, str]


@dataclass
class Plan:
    """The jobs in the order in which they are best begun, and what was left out of recipes, one sentence each."""

    jobs: list[Job]
    notes: list[str] = field(default_factory=list)


def plan(study: Study) -> Plan:
    """All jobs of a study: for each seed the teachers and students alone, then the cells.

    Cells whose offline teachers differ in nothing share one. Where any of them shares features, that teacher has
    the 1x1 convolution inside for all of them, so that a table compares students of one teacher.

    Raises:
        UserError: a cell's recipe is wrong; the message names the cell.
    """
    base = study.base
    threads = study.threads or base.training.threads or 1
    free = _axes_of_the_technique(study)
    notes: dict[str, None] = {}
    made: list[tuple[dict[str, str], Recipe]] = []
    for seed in study.seeds:
        for cell in cells(study):
            words = " ".join(cell.labels.values())
            changes = (*cell.changes, ("seed", seed), ("training.threads", threads))
            start = base.model_dump(mode="json", exclude_unset=True)
            recipe, left_out = changed_recipe(start, changes, origin=f"study {study.name}, cell {words}")
            made.append((cell.labels, recipe))
            notes |= dict.fromkeys(f"{words}: {note}" for note in left_out)
    with_adapter = {_digest(teacher_alone(r, adapter=False)) for _, r in made if _wants_adapter(r)}

    shared: dict[str, _Shared] = {}
    jobs: dict[str, Job] = {}
    for labels, recipe in made:
        own = {axis: option for axis, option in labels.items() if axis not in free}
        alone = _share(shared, "baseline", student_alone(recipe), own)
        technique, teacher = recipe.technique, None
        if recipe.networks.teacher is not None:
            in_group = _digest(teacher_alone(recipe, adapter=False)) in with_adapter
            asked = getattr(technique, "adapter", "never" if needs_teacher(recipe) else "auto")
            has_adapter = recipe.task == "classification" and (asked == "always" or (in_group and asked == "auto"))
            teacher = _share(shared, "teacher", teacher_alone(recipe, adapter=has_adapter), own)
            if needs_teacher(recipe) and has_adapter:
                recipe = _with(recipe, technique={"adapter": "always"})
        if technique.name == "baseline":
            continue
        needed = teacher if needs_teacher(recipe) else None
        digest = _digest(recipe, needed)
        name = _slug((*labels.values(), f"seed{recipe.seed}", digest))
        if name in jobs or any(digest == job.id[-8:] for job in jobs.values()):
            raise UserError(f"study {study.name}: the cell {' '.join(labels.values())} repeats another's recipe")
        after = (alone,) if teacher else ()
        jobs[name] = Job(id=name, kind="run", cell=labels, seed=recipe.seed, recipe=recipe, teacher=needed, after=after)

    names = {digest: _shared_name(digest, one) for digest, one in shared.items()}
    alone_jobs = [
        Job(id=names[digest], kind=one.kind, cell=one.cell, seed=one.recipe.seed, recipe=one.recipe)
        for digest, one in shared.items()
    ]
    runs = [
        replace(job, teacher=names[job.teacher] if job.teacher else None, after=tuple(names[d] for d in job.after))
        for job in jobs.values()
    ]
    order: dict[Kind, int] = {"teacher": 0, "baseline": 1, "run": 2}
    found = sorted([*alone_jobs, *runs], key=lambda job: (study.seeds.index(job.seed), order[job.kind]))
    return Plan(found, list(notes))


def needs_teacher(recipe: Recipe) -> bool:
    """Whether a run of ``recipe`` would begin by training a teacher alone."""
    return recipe.technique.name in FROM_A_TRAINED_TEACHER and not getattr(recipe.technique, "teacher", None)


def student_alone(recipe: Recipe) -> Recipe:
    """The same students with the same budget and no teacher."""
    raw = recipe.model_dump(mode="json")
    networks = raw["networks"] | {"teacher": None}
    return parse_recipe(raw | {"networks": networks, "technique": {"name": "baseline"}, "teacher_training": {}})


def teacher_alone(recipe: Recipe, *, adapter: bool) -> Recipe:
    """The teacher as a stage of ``recipe`` trains it, and nothing of the recipe that it does not depend on."""
    assert recipe.networks.teacher is not None
    raw = recipe.model_dump(mode="json")
    teacher = raw["networks"]["teacher"]
    # Of the students only their width counts, and only where the teacher has a convolution of that width inside.
    peers = {json.dumps(spec.model_dump(mode="json")): spec for spec in recipe.networks.peers.values()}
    students = [spec.model_dump(mode="json") for spec in peers.values()] if adapter else [teacher]
    return parse_recipe(
        raw
        | {
            "networks": {"teacher": teacher, "students": students},
            "technique": {
                "name": "baseline",
                "network": "teacher",
                "adapter": "always" if adapter else "never",
            },
            "training": recipe.teacher_stage_training.model_dump(mode="json"),
            "teacher_training": {},
        }
    )


def _wants_adapter(recipe: Recipe) -> bool:
    """Whether an offline teacher shares features, for which it has a convolution of the students' width inside."""
    technique = recipe.technique
    if not needs_teacher(recipe) or not isinstance(technique, MixtureSpec) or technique.losses:
        return False
    if recipe.task != "classification" or technique.adapter != "auto":
        return False
    return technique.strategy != "predictions" or any(route.teacher == "features" for route in technique.routing)


def _share(shared: dict[str, _Shared], kind: Kind, recipe: Recipe, labels: Mapping[str, str]) -> str:
    """The digest of a job that cells share; its place is narrowed to what they have in common."""
    digest = _digest(recipe)
    if digest not in shared:
        shared[digest] = _Shared(kind, recipe, dict(labels))
    else:
        common = shared[digest].cell.items() & labels.items()
        shared[digest].cell = {axis: option for axis, option in shared[digest].cell.items() if (axis, option) in common}
    return digest


def _shared_name(digest: str, one: _Shared) -> str:
    return _slug((one.kind, *one.cell.values(), f"seed{one.recipe.seed}", digest))


def _axes_of_the_technique(study: Study) -> set[str]:
    """Axes that change nothing but the technique: students and teachers alone are the same on all of them."""
    return {
        axis
        for axis, options in study.axes.items()
        if {key.split(".")[0] for changes in options.values() for key in changes} == {"technique"}
    }


def _with(recipe: Recipe, *, technique: Mapping[str, Any]) -> Recipe:
    raw = recipe.model_dump(mode="json")
    return parse_recipe(raw | {"technique": raw["technique"] | dict(technique)})


def _digest(recipe: Recipe, teacher: str | None = None) -> str:
    """Eight digits of what a run depends on. What is as by default is left out, so that new options change nothing."""
    content = recipe.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    text = json.dumps([content, teacher], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _slug(parts: Iterable[str]) -> str:
    return "-".join(re.sub(r"[^\w.]+", "_", part).strip("_") for part in parts)

"""From a study to its jobs: which runs there are, which they share, and what must be done before what."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal

from preceptor.errors import UserError
from preceptor.recipe import Recipe, changed_recipe, parse_recipe
from preceptor.specs import NetworkSpec
from preceptor.study.grid import cells
from preceptor.study.spec import Study
from preceptor.technique_specs import MixtureSpec, MultiPartSpec

Kind = Literal["run", "teacher", "baseline"]

FROM_A_TRAINED_TEACHER = frozenset({"kd_offline", "dynamic_kd", "graft", "self_distill", "multi_part"})
"""Techniques that begin by training a teacher alone and take a finished one instead."""

ONLINE = ("kd_online", "kd_ml")
"""Techniques whose teacher trains along."""

FROM_TRAINED_TEACHERS = frozenset({"multi_teacher", "graft"})
"""The same with several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a study.

    Args:
        id: name of its folder; ends with the digest of everything that the run depends on.
        kind: a cell's ``run``, a ``teacher`` alone, or a ``baseline``: the students alone.
        cell: axis -> option; of shared jobs, only where all cells that share them agree. One of several teachers
            also says which ``teacher`` it is.
        recipe: what to train, but for the teachers' folders.
        teachers: the jobs whose folders become ``technique.teacher``, or ``technique.teachers``, or whose snapshots
            become ``technique.snapshots``.
        after: jobs that must be over, done or failed, before this begins: a finished baseline beside a run
            is what its teacher is audited against.
    """

    id: str
    kind: Kind
    cell: Mapping[str, str]
    seed: int
    recipe: Recipe
    teachers: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def fold(self) -> int | None:
        """Which fold it tests; None where there are no folds."""
        return self.recipe.split.fold if self.recipe.split.folds else None

    def folder(self, out: Path) -> Path:
        """Its run folder in the study's folder ``out``."""
        return out / "runs" / self.id

    def recipe_in(self, out: Path) -> Recipe:
        """The complete recipe, teachers included."""
        folders = [str((out / "runs" / id).resolve()) for id in self.teachers]
        if not folders:
            return self.recipe
        if isinstance(self.recipe.technique, MultiPartSpec):
            kept = Path(folders[0]) / "checkpoints" / "teacher"
            epochs = snapshots_of(self.recipe, self.recipe.technique)
            return _with(self.recipe, technique={"snapshots": [str(kept / f"T.epoch-{n:04d}.ckpt") for n in epochs]})
        several = bool(self.recipe.networks.teachers)
        return _with(self.recipe, technique={"teachers": folders} if several else {"teacher": folders[0]})


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
    threads = study.threads or (base.get("training") or {}).get("threads") or 1
    free = _axes_of_the_technique(study)
    notes: dict[str, None] = {}
    made: list[tuple[dict[str, str], Recipe]] = []
    folds: list[tuple[tuple[str, Any], ...]] = [()]
    if study.folds:
        folds = [(("split.folds", study.folds), ("split.fold", fold)) for fold in range(study.folds)]
    for seed, fold in product(study.seeds, folds):
        for cell in cells(study):
            words = " ".join(cell.labels.values())
            changes = (*cell.changes, ("seed", seed), *fold, ("training.threads", threads))
            recipe, left_out = changed_recipe(base, changes, origin=f"study {study.name}, cell {words}")
            made.append((cell.labels, recipe))
            notes |= dict.fromkeys(f"{words}: {note}" for note in left_out)
    if study.together:
        made = _with_one_online_teacher(made)
    with_adapter = {_digest(teacher_alone(r, t, adapter=False)) for _, r in made for t in _sharing_features(r)}

    shared: dict[str, _Shared] = {}
    jobs: dict[str, Job] = {}
    for labels, recipe in made:
        own = {axis: option for axis, option in labels.items() if axis not in free}
        alone = _share(shared, "baseline", student_alone(recipe), own)
        technique, needed, teachers = recipe.technique, teachers_before(recipe), []
        for spec in () if takes_teachers(recipe) else all_teachers(recipe):
            in_group = _digest(teacher_alone(recipe, spec, adapter=False)) in with_adapter
            asked = getattr(technique, "adapter", "never" if needed else "auto")
            has_adapter = recipe.task == "classification" and (asked == "always" or (in_group and asked == "auto"))
            which = {"teacher": spec.encoder or spec.architecture} if recipe.networks.teachers else {}
            teachers.append(_share(shared, "teacher", teacher_alone(recipe, spec, adapter=has_adapter), own | which))
            if needed and has_adapter:
                recipe = _with(recipe, technique={"adapter": "always"})
        if technique.name == "baseline":
            continue
        from_teachers = tuple(teachers) if needed else ()
        digest = _digest(recipe, from_teachers)
        name = _slug((*labels.values(), *_repetition(recipe), digest))
        if name in jobs or any(digest == job.id[-8:] for job in jobs.values()):
            raise UserError(f"study {study.name}: the cell {' '.join(labels.values())} repeats another's recipe")
        jobs[name] = Job(
            id=name,
            kind="run",
            cell=labels,
            seed=recipe.seed,
            recipe=recipe,
            teachers=from_teachers,
            after=(alone,) if all_teachers(recipe) else (),
        )

    names = {digest: _shared_name(digest, one) for digest, one in shared.items()}
    alone_jobs = [
        Job(id=names[digest], kind=one.kind, cell=one.cell, seed=one.recipe.seed, recipe=one.recipe)
        for digest, one in shared.items()
    ]
    runs = [
        replace(job, teachers=tuple(names[d] for d in job.teachers), after=tuple(names[d] for d in job.after))
        for job in jobs.values()
    ]
    order: dict[Kind, int] = {"teacher": 0, "baseline": 1, "run": 2}
    found = sorted([*alone_jobs, *runs], key=lambda job: (study.seeds.index(job.seed), order[job.kind]))
    return Plan(found, list(notes))


def all_teachers(recipe: Recipe) -> tuple[NetworkSpec, ...]:
    """The networks that ``recipe`` has as teachers."""
    networks = recipe.networks
    return networks.teachers or ((networks.teacher,) if networks.teacher else ())


def teachers_before(recipe: Recipe) -> tuple[NetworkSpec, ...]:
    """The teachers that a run of ``recipe`` would begin by training alone, each on the whole training part."""
    technique, several = recipe.technique, recipe.networks.teachers
    given = any(getattr(technique, option, None) for option in ("teacher", "teachers", "snapshots"))
    known = FROM_TRAINED_TEACHERS if several else FROM_A_TRAINED_TEACHER
    if given or technique.name not in known or not technique.has_teacher:
        return ()
    if takes_teachers(recipe):
        return ()
    if several and any(one == other for one, other in combinations(several, 2)):
        return ()  # equal networks differ by their place in the run, which trains them itself
    return all_teachers(recipe)


def takes_teachers(recipe: Recipe) -> bool:
    """Whether ``recipe`` names teachers with weights that its run may take as they are; it finds out itself."""
    if recipe.teacher_training or not any(spec.may_be_trained for spec in all_teachers(recipe)):
        return False
    return not recipe.technique.has_teacher or recipe.technique.name in FROM_A_TRAINED_TEACHER | FROM_TRAINED_TEACHERS


def snapshots_of(recipe: Recipe, technique: MultiPartSpec) -> list[int]:
    """The epochs after which a teacher of ``multi_part`` is kept."""
    epochs, every = recipe.teacher_stage_training.epochs, technique.teacher_every or technique.every
    return [*range(every, epochs, every), epochs]


def student_alone(recipe: Recipe) -> Recipe:
    """The same students with the same budget and no teacher."""
    raw = recipe.model_dump(mode="json")
    networks = raw["networks"] | {"teacher": None, "teachers": []}
    return parse_recipe(raw | {"networks": networks, "technique": {"name": "baseline"}, "teacher_training": {}})


def teacher_alone(recipe: Recipe, spec: NetworkSpec, *, adapter: bool) -> Recipe:
    """A teacher as a stage of ``recipe`` trains it, and nothing of the recipe that it does not depend on.

    Where students see few shots, it sees the whole training part.
    """
    raw = recipe.model_dump(mode="json")
    teacher = spec.model_dump(mode="json")
    # Of the students only their width counts, and only where the teacher has a convolution of that width inside.
    peers = {json.dumps(spec.model_dump(mode="json")): spec for spec in recipe.networks.peers.values()}
    students = [spec.model_dump(mode="json") for spec in peers.values()] if adapter else [teacher]
    alone: dict[str, Any] = {"name": "baseline", "network": "teacher", "adapter": "always" if adapter else "never"}
    if isinstance(recipe.technique, MultiPartSpec):
        alone["snapshots_every"] = recipe.technique.teacher_every or recipe.technique.every
    return parse_recipe(
        raw
        | {
            "networks": {"teacher": teacher, "students": students},
            "technique": alone,
            "split": raw["split"] | {"shots": None, "shots_seed": None},
            "training": recipe.teacher_stage_training.model_dump(mode="json") | {"teacher_cache": {}},
            "teacher_training": {},
        }
    )


def _sharing_features(recipe: Recipe) -> tuple[NetworkSpec, ...]:
    """Offline teachers that share features, for which they have a convolution of the students' width inside."""
    technique = recipe.technique
    if not isinstance(technique, MixtureSpec) or technique.losses or technique.adapter != "auto":
        return ()
    return teachers_before(recipe) if _shares_features(recipe) and recipe.task == "classification" else ()


def _shares_features(recipe: Recipe) -> bool:
    """Whether a student of a mixture gets the teacher's features."""
    technique = recipe.technique
    assert isinstance(technique, MixtureSpec)
    return technique.strategy != "predictions" or any(route.teacher == "features" for route in technique.routing)


def _with_one_online_teacher(made: Sequence[tuple[dict[str, str], Recipe]]) -> list[tuple[dict[str, str], Recipe]]:
    """Where equal online teachers share features in one cell, they have the convolution inside in all."""

    def is_open(recipe: Recipe) -> bool:
        technique = recipe.technique
        return (
            recipe.task == "classification"
            and isinstance(technique, MixtureSpec)
            and technique.name in ONLINE
            and technique.adapter == "auto"
            and not technique.losses
        )

    sharing = {all_but_technique(recipe) for _, recipe in made if is_open(recipe) and _shares_features(recipe)}
    return [
        (labels, _with(recipe, technique={"adapter": "always"}))
        if is_open(recipe) and all_but_technique(recipe) in sharing
        else (labels, recipe)
        for labels, recipe in made
    ]


def all_but_technique(recipe: Recipe) -> str:
    """Digest of everything in ``recipe`` but its name and technique."""
    return hashlib.sha256(recipe.model_dump_json(exclude={"name", "technique"}).encode()).hexdigest()


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
    return _slug((one.kind, *one.cell.values(), *_repetition(one.recipe), digest))


def _repetition(recipe: Recipe) -> tuple[str, ...]:
    """Its seed, and its fold where there are any, as parts of a name."""
    split = recipe.split
    return (f"seed{recipe.seed}", *([f"fold{split.fold}"] if split.folds else []))


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


def _digest(recipe: Recipe, teachers: tuple[str, ...] = ()) -> str:
    """Eight digits of what a run depends on. What is as by default is left out, so that new options change nothing."""
    content = recipe.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    text = json.dumps([content, list(teachers)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def digest_of(name: str) -> str | None:
    """The digest at the end of a job's id; None where ``name`` is no such."""
    found = re.search(r"-([0-9a-f]{8})$", name)
    return found[1] if found else None


def _slug(parts: Iterable[str]) -> str:
    return "-".join(re.sub(r"[^\w.]+", "_", part).strip("_") for part in parts)

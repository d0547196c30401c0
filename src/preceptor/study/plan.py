"""From a study to its jobs: which runs there are, which they share, and what must be done before what."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from preceptor.errors import UserError
from preceptor.plan.cast import TEACHER, Usual, is_teacher
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Stage
from preceptor.recipe import Recipe, parse_recipe
from preceptor.runs.files import RunFiles
from preceptor.specs import NetworkSpec
from preceptor.study.grid import recipes_of
from preceptor.study.protocol import require_protocol
from preceptor.study.spec import Study

JobKind = Literal["run", "teacher", "baseline"]


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
    kind: JobKind
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
        stage = stages_before(self.recipe)[0]
        option = stage.instead.removeprefix("technique.")
        if stage.snapshots:
            kept = RunFiles(Path(folders[0]))
            folders = [str(kept.weights(stage.clock, TEACHER, epoch)) for epoch in sorted(stage.snapshots)]
        return _with(self.recipe, technique={option: folders if option.endswith("s") else folders[0]})


@dataclass
class _Shared:
    """A job in the making that several cells need."""

    kind: JobKind
    recipe: Recipe
    cell: dict[str, str]


@dataclass
class StudyPlan:
    """The jobs in the order in which they are best begun, and what was left out of recipes, one sentence each."""

    jobs: list[Job]
    notes: list[str] = field(default_factory=list)


def plan_study(study: Study) -> StudyPlan:
    """All jobs of a study: for each seed the teachers and students alone, then the cells.

    Cells whose offline teachers differ in nothing share one. Where any of them shares features, that teacher has
    the 1x1 convolution inside for all of them, so that a table compares students of one teacher.

    Raises:
        UserError: a cell's recipe is wrong; the message names the cell. Or the study says that it is a paper's protocol
            and is not.
    """
    free = _axes_of_the_technique(study)
    made, notes = recipes_of(study)
    require_protocol(study, (recipe for _, recipe in made))
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
            asked = technique.adapter_asked or ("never" if needed else "auto")
            has_adapter = recipe.task == "classification" and (asked == "always" or (in_group and asked == "auto"))
            which = {"teacher": spec.encoder or spec.architecture} if recipe.networks.teachers else {}
            teachers.append(_share(shared, "teacher", teacher_alone(recipe, spec, adapter=has_adapter), own | which))
            if needed and has_adapter:
                recipe = _with(recipe, technique={"adapter": "always"})
        if _is_alone(recipe):
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
    order: dict[JobKind, int] = {"teacher": 0, "baseline": 1, "run": 2}
    found = sorted([*alone_jobs, *runs], key=lambda job: (study.seeds.index(job.seed), order[job.kind]))
    return StudyPlan(found, list(notes))


def all_teachers(recipe: Recipe) -> tuple[NetworkSpec, ...]:
    """The networks that ``recipe`` has as teachers."""
    networks = recipe.networks
    return networks.teachers or ((networks.teacher,) if networks.teacher else ())


def stages_before(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages in which a run of ``recipe`` would train its teachers alone, and which a finished run can spare it."""
    if takes_teachers(recipe):
        return ()
    found = tuple(stage for stage in recipe.plan().stages if stage.instead)
    if any(stage.fold for stage in found):
        return ()  # on a part of the data, as no other run does
    if any(_teacher_in(one).spec == _teacher_in(other).spec for one, other in combinations(found, 2)):
        return ()  # equal networks differ by their place in the run, which trains them itself
    return found


def teachers_before(recipe: Recipe) -> tuple[NetworkSpec, ...]:
    """The teachers that a run of ``recipe`` would begin by training alone, each on the whole training part."""
    return tuple(spec for stage in stages_before(recipe) if (spec := _teacher_in(stage).spec))


def takes_teachers(recipe: Recipe) -> bool:
    """Whether ``recipe`` names teachers with weights that its run may take as they are; it finds out itself."""
    if recipe.teacher_training or not any(spec.may_be_trained for spec in all_teachers(recipe)):
        return False
    untrained = recipe.plan(Usual(trained=False)).stages  # if their heads were new
    return any(stage.instead for stage in untrained) or not any(
        is_teacher(n) for stage in untrained for n in stage.members
    )


def _teacher_in(stage: Stage) -> NetworkUse:
    """The network that a stage trains alone."""
    (member,) = stage.members.values()
    assert isinstance(member.network, NetworkUse)
    return member.network


def student_alone(recipe: Recipe) -> Recipe:
    """The same students with the same budget and no teacher."""
    raw = recipe.model_dump(mode="json")
    networks = raw["networks"] | {"teacher": None, "teachers": []}
    return parse_recipe(raw | {"networks": networks, "technique": {"name": "baseline"}, "teacher_training": {}})


def _is_alone(recipe: Recipe) -> bool:
    """Whether it trains nothing but what the shared jobs train: a teacher alone, or its students alone."""
    found = recipe.plan(Usual(trained=False))
    return all(map(is_teacher, found.students)) or found.stages == student_alone(recipe).plan().stages


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
    for stage in stages_before(recipe):
        if stage.snapshots:
            alone["snapshots_every"] = min(stage.snapshots)
    return parse_recipe(
        raw
        | {
            "networks": {"teacher": teacher, "students": students},
            "technique": alone,
            "split": raw["split"] | ({} if recipe.split.shots is None else {"shots": None, "shots_seed": None}),
            "training": recipe.teacher_stage_training.model_dump(mode="json") | {"teacher_cache": {}},
            "teacher_training": {},
        }
    )


def _sharing_features(recipe: Recipe) -> tuple[NetworkSpec, ...]:
    """Offline teachers that share features, for which they have a convolution of the students' width inside."""
    if recipe.technique.adapter_asked != "auto" or recipe.task != "classification":
        return ()
    return tuple(
        teacher.spec for stage in stages_before(recipe) if (teacher := _teacher_in(stage)).spec and teacher.adapter
    )


def _with_one_online_teacher(made: Sequence[tuple[dict[str, str], Recipe]]) -> list[tuple[dict[str, str], Recipe]]:
    """Where equal online teachers share features in one cell, they have the convolution inside in all."""
    sharing = {
        all_but_technique(recipe) for _, recipe in made if (teacher := _open_online_teacher(recipe)) and teacher.adapter
    }
    return [
        (labels, _with(recipe, technique={"adapter": "always"}))
        if _open_online_teacher(recipe) and all_but_technique(recipe) in sharing
        else (labels, recipe)
        for labels, recipe in made
    ]


def _open_online_teacher(recipe: Recipe) -> NetworkUse | None:
    """A teacher that trains along and could have a convolution inside or not."""
    technique = recipe.technique
    if recipe.task != "classification" or technique.adapter_asked != "auto" or technique.losses_named:
        return None
    found = recipe.plan()
    member = found.stages[-1].members.get(found.teacher or "")
    return member.network if member and member.trains and isinstance(member.network, NetworkUse) else None


def all_but_technique(recipe: Recipe) -> str:
    """Digest of everything in ``recipe`` but its name and technique."""
    return hashlib.sha256(recipe.model_dump_json(exclude={"name", "technique"}).encode()).hexdigest()


def _share(shared: dict[str, _Shared], kind: JobKind, recipe: Recipe, labels: Mapping[str, str]) -> str:
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

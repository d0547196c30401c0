"""Several runs trained in lockstep in one process: batches, pixels and an equal teacher are there once.

Every run ends with the weights, scores and metrics that it has alone, bit for bit in float32 on a CPU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console

from preceptor.data.prepare import prepare
from preceptor.data.repair import on_sound_pixels
from preceptor.errors import UserError
from preceptor.files import write_text
from preceptor.machine.fabric import make_fabric
from preceptor.plan.merge import Merged, merge, unshared
from preceptor.plan.stage import Plan
from preceptor.recipe import Recipe
from preceptor.runs.files import RunFiles
from preceptor.runs.folder import RunFolder
from preceptor.runs.metrics import HEADER
from preceptor.runs.place import is_run, require_place
from preceptor.runs.result import RunResult
from preceptor.screen import Screen
from preceptor.training.audit import require_student_alone
from preceptor.training.build import builder_for
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.finish import Finishing
from preceptor.training.notes import Notes
from preceptor.training.planning import settled_plan, workshop_of
from preceptor.training.run import TrainingRun, note_on
from preceptor.training.run_folder import folder_for, keep_own
from preceptor.training.same_data import require_unseen, write_pixel_keys


def train_together(
    runs: Mapping[Path, Recipe], shared: Path, *, device: str = "auto", console: Console | None = None
) -> dict[Path, RunResult]:
    """Train runs that differ in their technique alone as one cohort; the same call again resumes them.

    Args:
        runs: run folder -> recipe.
        shared: folder for what they have in common while training: checkpoints and the metrics of all.

    Returns:
        The result of every run. Its ``seconds`` are those of all runs together.

    Raises:
        UserError: the runs cannot be trained as one, or the folder holds other runs.
        InterruptedRunError: SIGTERM or SIGINT came; the same call goes on.
    """
    recipes = list(runs.values())
    require_alike(recipes)
    fabric = make_fabric(device)
    console = console or Screen()
    for path in (*runs, shared):
        require_place(path, [recipes[0].data.path], is_own=is_run(path))
    folders = [folder_for(path, recipe, note=note_on(console)) for path, recipe in runs.items()]
    finished = [folder.finished for folder in folders]
    if all(finished):
        return {found.folder: found.result for found in finished if found is not None}
    torch.set_num_threads(recipes[0].training.threads or torch.get_num_threads())
    return on_sound_pixels(lambda: _train_prepared(runs, folders, shared, fabric, console), note_on(console))


def _train_prepared(
    runs: Mapping[Path, Recipe], folders: Sequence[RunFolder], shared: Path, fabric: Fabric, console: Console
) -> dict[Path, RunResult]:
    recipes = list(runs.values())
    prepared = prepare(recipes[0], note_on(console))
    workshop = workshop_of(recipes[0], prepared)
    plans, seen = [], []
    fingerprint, split = prepared.packed.fingerprint, prepared.split_csv()
    for folder, recipe in zip(folders, recipes, strict=True):
        folder.require_data(fingerprint, split)
        plans.append(settled_plan(recipe, workshop))
        require_student_alone(plans[-1], recipe)
        seen.append(require_unseen(plans[-1], recipe.data, prepared))
    merged = merge(plans)
    _require_equal_batches(plans)
    _begin(shared, runs)
    everything = folder_for(shared, recipes[0], note=note_on(console))
    everything.require_data(fingerprint, split)
    trunk_plan = Plan(stages=(merged.stage,), students=tuple(merged.stage.members))
    trunk_notes = Notes(console)
    builder = builder_for(recipes[0], prepared, fabric, Checkpoints(everything), trunk_notes, workshop)
    trunk = TrainingRun(builder, trunk_plan, console)
    with everything.held():
        everything.begin(fingerprint, split)
        trained = trunk.train()
    results = {}
    for number, (folder, recipe, plan) in enumerate(zip(folders, recipes, plans, strict=True)):
        found = folder.finished
        if found is None:
            folder.begin(fingerprint, split)
            keep_own(folder, recipe)
            folder.replace_metrics(_own_metrics(everything, merged, number))
            write_pixel_keys(folder.path, prepared, seen[number])
            notes = [
                *seen[number].notes,
                *_own_notes(trunk_notes.kept, merged, number),
                f"trained together with {len(runs) - 1} other runs",
            ]
            own = {name: trained.networks[there] for name, there in merged.names[number].items()}
            results[folder.path] = Finishing(
                recipe=recipe,
                prepared=prepared,
                plan=plan,
                folder=folder,
                evaluator=builder.evaluator,
                notes=Notes(console, notes),
            ).finish(replace(trained, networks=own))
        else:
            results[folder.path] = found.result
    return results


def require_alike(recipes: Sequence[Recipe]) -> None:
    """Refuse runs that differ in more than their technique, or in which one network would act on another.

    Raises:
        UserError: naming the first part that differs.
    """
    for recipe in recipes[1:]:
        for part in Recipe.model_fields:
            if part not in ("name", "technique") and getattr(recipe, part) != getattr(recipes[0], part):
                raise UserError(f"runs that are trained as one differ in their technique alone; these differ in {part}")
    training = recipes[0].training
    if training.patience is not None:
        raise UserError(
            "training.patience: runs that are trained as one end together; leave it out or train them alone"
        )
    if training.precision == "16-mixed":
        raise UserError(
            "training.precision 16-mixed scales the loss of all networks at once; use bf16-mixed or 32-true"
        )


def _require_equal_batches(plans: Sequence[Plan]) -> None:
    wants = {any(edge.loss.entry.keeps_batch for edge in plan.stages[0].edges) for plan in plans}
    if len(wants) > 1:
        raise UserError("a loss of one run drops incomplete batches and those of another do not; train it alone")


def _begin(shared: Path, runs: Mapping[Path, Recipe]) -> None:
    """Note which runs are trained here; refuse a folder in which others were."""
    file, now = RunFiles(shared).together, "---\n".join(recipe.to_yaml() for recipe in runs.values())
    if file.exists() and file.read_text() != now:
        raise UserError(f"{shared} holds the training of other runs; give another folder, or delete it")
    shared.mkdir(parents=True, exist_ok=True)
    write_text(file, now)


def _own_metrics(everything: RunFolder, merged: Merged, number: int) -> str:
    """The rows of one run, named as if it had been alone."""
    mine = set(merged.names[number].values())
    lines = everything.files.metrics.read_text().splitlines(keepends=True)[1:]
    return HEADER + "".join(unshared(line) for line in lines if line.split(",")[2] in mine)


def _own_notes(notes: Sequence[str], merged: Merged, number: int) -> list[str]:
    """Notes about an edge go to the run that has it, others to all."""
    others = {name for k, names in enumerate(merged.names) if k != number for name in names.values()}
    others -= set(merged.names[number].values())
    return list(dict.fromkeys(unshared(note) for note in notes if not any(f"{name}/" in note for name in others)))

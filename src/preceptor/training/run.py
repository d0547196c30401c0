"""One run from recipe to result."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console

from preceptor.cohort.cohort import Cohort, losses_into
from preceptor.composed.base import unshared_networks
from preceptor.data.prepare import Prepared, prepare
from preceptor.data.repair import on_sound_pixels
from preceptor.errors import UserError
from preceptor.machine.fabric import make_fabric
from preceptor.networks.network import Network
from preceptor.notes import Note, note_aside
from preceptor.plan.stage import Plan, Stage
from preceptor.recipe import Recipe
from preceptor.runs.finished import FinishedRun
from preceptor.runs.folder import RunFolder
from preceptor.runs.place import is_run, require_place
from preceptor.runs.result import RunResult
from preceptor.screen import Screen
from preceptor.teacher_cache.of_stage import frozen_of
from preceptor.training.audit import before_teaching, require_student_alone, trained_teachers
from preceptor.training.build import StageBuilder, builder_for, reading_builder
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.finish import Finishing, Trained
from preceptor.training.fit import StageProgress, Watcher, train_stage
from preceptor.training.held_knowledge import HeldKnowledge
from preceptor.training.notes import Notes
from preceptor.training.planning import settled_plan, workshop_of
from preceptor.training.probing import probe_stage
from preceptor.training.progress import ProgressPanel
from preceptor.training.run_folder import folder_for, keep_own
from preceptor.training.same_data import require_unseen, write_pixel_keys
from preceptor.training.statistics import take_statistics
from preceptor.training.trackers import require_trackers, trackers_for


def train_recipe(
    recipe: Recipe,
    out: Path,
    *,
    device: str = "auto",
    console: Console | None = None,
    watchers: Sequence[Watcher] = (),
    opens_test: bool = True,
) -> RunResult:
    """Train, evaluate and export what ``recipe`` describes; the same call again resumes it.

    Args:
        out: the run folder.
        device: ``auto``, ``cpu`` or ``cuda``. Under torchrun every process takes its share of each batch.
        watchers: who else is told how training goes.
        opens_test: False keeps the test part sealed: the result is ``validated``, without test scores. A later
            call that opens it goes on from there.

    Returns:
        What the run folder keeps as the run's result.

    Raises:
        UserError: recipe, data or weights are wrong.
        InterruptedRunError: SIGTERM or SIGINT came; the same call goes on.
    """
    require_trackers(recipe)
    fabric = make_fabric(device)
    console = (console or Screen()) if fabric.is_global_zero else Screen(quiet=True)
    if fabric.is_global_zero:
        require_place(out, [recipe.data.path], is_own=is_run(out))
    folder = folder_for(out, recipe, writes=fabric.is_global_zero, note=note_on(console))
    over = _if_over(folder, opens_test=opens_test)
    if over is not None and folder.moved_from is None:
        return _over(over, console)
    torch.set_num_threads(recipe.training.threads or torch.get_num_threads())
    return on_sound_pixels(
        lambda: _train(recipe, folder, fabric, console, watchers, opens_test=opens_test), note_on(console)
    )


def note_on(console: Console) -> Note:
    """Says a note on ``console``, or aside where that is quiet: any one of several processes may have to say it."""
    if console.quiet:
        return note_aside
    return lambda line: console.print(f"note: {line}", markup=False, highlight=False, soft_wrap=True)


def _train(
    recipe: Recipe,
    folder: RunFolder,
    fabric: Fabric,
    console: Console,
    watchers: Sequence[Watcher],
    *,
    opens_test: bool,
) -> RunResult:
    with console.status("reading images"):
        prepared = prepare(recipe, note_on(console))
    folder.require_data(prepared.packed.fingerprint, prepared.split_csv())
    over = _if_over(folder, opens_test=opens_test)
    if over is not None:
        return _over(over, console)
    workshop = workshop_of(recipe, prepared)
    plan = settled_plan(recipe, workshop)
    require_student_alone(plan, recipe)
    seen = require_unseen(plan, recipe.data, prepared)
    _require_image_each(prepared, fabric.world_size)
    for note in (*prepared.notes, *plan.notes, *seen.notes):
        console.print(f"note: {note}")
    notes = Notes(console, seen.notes)
    builder = builder_for(recipe, prepared, fabric, Checkpoints(folder), notes, workshop)
    run = TrainingRun(builder, plan, console, watchers)
    with folder.held():
        folder.begin(prepared.packed.fingerprint, prepared.split_csv())
        keep_own(folder, recipe)
        if folder.writes:
            write_pixel_keys(folder.path, prepared, seen)
        trained = run.train()
        return Finishing(
            recipe=recipe,
            prepared=prepared,
            plan=plan,
            folder=folder,
            evaluator=builder.evaluator,
            notes=notes,
            opens_test=opens_test,
        ).finish(trained)


def _if_over(folder: RunFolder, *, opens_test: bool) -> FinishedRun | None:
    """A run of which nothing is left to do."""
    found = folder.finished
    return found if found is not None and (found.result.is_complete or not opens_test) else None


def _over(found: FinishedRun, console: Console) -> RunResult:
    """What a run that is over has left, and that it is over."""
    console.print(f"{found.folder} is {found.result.status}")
    return found.result


def run_of(recipe: Recipe, prepared: Prepared, fabric: Fabric, folder: Path) -> "TrainingRun":
    """What :func:`train_recipe` makes of the recipe; it writes nothing into ``folder``, and says nothing."""
    builder = reading_builder(recipe, prepared, fabric, folder)
    return TrainingRun(builder, settled_plan(recipe, builder.workshop), Console(quiet=True))


def _require_image_each(prepared: Prepared, processes: int) -> None:
    """Evaluation shares whole images among processes."""
    for part in ("validation", "test"):
        names = prepared.packed.frame["parent" if "parent" in prepared.packed.frame else "id"]
        count = names.iloc[prepared.rows[part]].nunique()
        if count < processes:
            raise UserError(f"the {part} part has {count} images for {processes} processes; start at most {count}")


@dataclass
class TrainingRun:
    """Trains the stages of a plan, one after another."""

    builder: StageBuilder
    plan: Plan
    console: Console
    watchers: Sequence[Watcher] = ()
    audited: set[tuple[object, ...]] = field(default_factory=set)  # teachers of which it was said how good they are

    def __post_init__(self) -> None:
        self.plan = self.builder.settled(self.plan)

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        return self.builder.recipe

    @property
    def fabric(self) -> Fabric:
        """Where and by how many processes it is trained."""
        return self.builder.fabric

    def train(self) -> Trained:
        """Train every stage."""
        networks: dict[str, Network] = {}
        judge: HeldKnowledge | None = None
        reported = {*self.plan.reported}
        ended: dict[str, StageProgress] = {}  # stages that no other goes on from
        self.builder.try_out(self.plan.stages[1:])
        with (
            ProgressPanel(self.console, self.recipe.monitor, self.plan.stages) as progress,
            self._trackers() as trackers,
        ):
            watchers = [progress, *self.watchers, *trackers]
            for planned in self.plan.stages:
                for name in planned.members:  # which are made anew: two teachers are never in memory together
                    networks.pop(name, None)
                stage = self.builder.decided(planned)
                cohort, ended[stage.name] = self._train_stage(stage, watchers)
                ended.pop(stage.continues or "", None)
                networks |= {
                    name: network for name, network in unshared_networks(cohort.networks).items() if name in reported
                }
                if stage.last_epoch == stage.phase_end:  # a part may end before the first validation
                    kept = self.builder.checkpoints
                    for name in reported.intersection(stage.learners):
                        networks[name].load_state_dict(kept.load(kept.weights(stage.clock, name)))
                judge = self._judge(stage, cohort) if stage.unlabelled else None
                del cohort
        return Trained(networks=networks, ended=list(ended.values()), judge=judge)

    def _judge(self, stage: Stage, cohort: Cohort) -> HeldKnowledge:
        """What scores students by their teachers alone, with the projectors of the chosen epoch."""
        kept = self.builder.checkpoints
        for name in stage.learners:
            losses_into(cohort, name).load_state_dict(kept.load(kept.edges(stage.clock, name)))
        return self._held_knowledge(stage, cohort)

    def _held_knowledge(self, stage: Stage, cohort: Cohort) -> HeldKnowledge:
        return HeldKnowledge(self.fabric, self.builder.prepared, cohort, stage.training.batch_size)

    def _trackers(self) -> AbstractContextManager[Sequence[Watcher]]:
        """Other tools that the recipe wants to be told of the training."""
        if not self.fabric.is_global_zero:
            return nullcontext(())
        return trackers_for(self.recipe, self.builder.checkpoints.folder.files)

    def _train_stage(self, stage: Stage, watchers: Sequence[Watcher]) -> tuple[Cohort, StageProgress]:
        """The networks of a stage as it left them, and where it ended."""
        cohort = self.builder.cohort(stage)
        if stage.probe:
            return cohort, probe_stage(stage, cohort, self.builder)
        self._audit(stage, cohort)
        batches = self.builder.batches(stage, cohort)
        evaluator = self.builder.evaluator
        validation = self.builder.prepared.every("validation") if stage.unlabelled else None
        with frozen_of(self.recipe, stage, cohort, batches, self.fabric, self.console.print, validation) as replay:
            held = replace(self._held_knowledge(stage, cohort), says=replay.unchanged)

            def validate(networks: Mapping[str, Network]) -> dict[str, dict[str, float]]:
                return held(networks, "validation") if stage.unlabelled else evaluator(networks, "validation").scores

            take_statistics(cohort, lambda: self.builder.in_order(stage), self.fabric.device, replay.unchanged)
            ended = train_stage(
                self.fabric,
                stage,
                cohort,
                batches,
                validate,
                self.builder.checkpoints.folder,
                monitor=self.recipe.monitor,
                seed=self.recipe.seed,
                frozen_outputs=replay,
                watchers=[*watchers, replay],
                note=self.builder.notes.add,
            )
        return cohort, ended

    def _audit(self, stage: Stage, cohort: Cohort) -> None:
        """Say of each teacher that is trained already how good it is, before anybody learns from it."""
        teachers = trained_teachers(stage, cohort, self.audited)
        if not teachers:
            return
        classes = self.builder.prepared.packed.classes
        found = self.builder.evaluator(teachers, "validation")
        for sentence, is_warning in before_teaching(self.recipe, classes, found):
            if is_warning:
                self.builder.notes.add(f"{stage.name}: {sentence}")
            else:
                self.console.print(f"  {sentence}", highlight=False)

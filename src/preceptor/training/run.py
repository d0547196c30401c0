"""One run from recipe to result."""

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from rich.console import Console

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.instantiate import Workshop
from preceptor.composed.base import ComposedNetwork, own_state, unshared_networks
from preceptor.composed.committee import teachers_in
from preceptor.data.batches import Batches
from preceptor.data.prepare import Prepared, padding_of, prepare, training_folds
from preceptor.data.repair import on_sound_pixels
from preceptor.errors import UserError
from preceptor.files import cache_root
from preceptor.knowledge.task_loss import build_task_loss
from preceptor.machine.fabric import make_fabric
from preceptor.machine.placement import MEASURED_FROM, PLACEMENTS, Placement, place
from preceptor.measures.measure import Measures
from preceptor.networks.cost import cost_of
from preceptor.networks.network import Network
from preceptor.networks.normalisation import padding_for
from preceptor.networks.preprocessing import Preprocessing
from preceptor.notes import Note, note_aside
from preceptor.places import without_places
from preceptor.plan.merge import unshared
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.recipe import Recipe
from preceptor.runs.names import ENVIRONMENT, NETWORKS, PREDICTIONS
from preceptor.runs.place import is_run, require_place
from preceptor.runs.result import RunResult
from preceptor.screen import Screen
from preceptor.sealed import write_sealed
from preceptor.teacher_cache.of_stage import frozen_of
from preceptor.training.audit import audit_teacher, before_teaching, require_student_alone, trained_teachers
from preceptor.training.choose import make_choices
from preceptor.training.evaluate import Evaluation, evaluate, whole_part
from preceptor.training.fit import StageProgress, Watcher, fit
from preceptor.training.planning import settled_plan, workshop_of
from preceptor.training.progress import Progress
from preceptor.training.run_folder import RunFolder
from preceptor.training.same_data import require_unseen, write_pixel_keys
from preceptor.training.scored import measures_for, said_of_own
from preceptor.training.trackers import TensorBoard

DTYPES = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def train(
    recipe: Recipe,
    out: Path,
    *,
    device: str = "auto",
    console: Console | None = None,
    watchers: Sequence[Watcher] = (),
    opens_test: bool = True,
) -> dict[str, Any]:
    """Train, evaluate and export what ``recipe`` describes; the same call again resumes it.

    Args:
        out: the run folder.
        device: ``auto``, ``cpu`` or ``cuda``. Under torchrun every process takes its share of each batch.
        watchers: who else is told how training goes.
        opens_test: False keeps the test part sealed: the result is ``validated``, without test scores. A later
            call that opens it goes on from there.

    Returns:
        ``result.json`` as a dict, without its checksums.

    Raises:
        UserError: recipe, data or weights are wrong.
        InterruptedRunError: SIGTERM or SIGINT came; the same call goes on.
    """
    fabric = make_fabric(device)
    console = (console or Screen()) if fabric.is_global_zero else Screen(quiet=True)
    if fabric.is_global_zero:
        require_place(out, [recipe.data.path], is_own=is_run(out))
    folder = RunFolder(out, recipe, writes=fabric.is_global_zero, note=note_on(console))
    over = _result_if_over(folder, opens_test=opens_test)
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
) -> dict[str, Any]:
    with console.status("reading images"):
        prepared = prepare(recipe, note_on(console))
    folder.require_data(prepared.packed.fingerprint, prepared.split_csv())
    over = _result_if_over(folder, opens_test=opens_test)
    if over is not None:
        return _over(over, console)
    workshop = workshop_of(recipe, prepared)
    plan = settled_plan(recipe, workshop)
    require_student_alone(plan, recipe)
    seen = require_unseen(plan, recipe.data, prepared)
    _require_image_each(prepared, fabric.world_size)
    for note in (*prepared.notes, *plan.notes, *seen.notes):
        console.print(f"note: {note}")
    run = Run(recipe, prepared, workshop, plan, folder, fabric, console, watchers, opens_test, notes=[*seen.notes])
    with folder.held():
        folder.begin(prepared.packed.fingerprint, prepared.split_csv())
        if folder.writes:
            write_pixel_keys(folder.path, prepared, seen)
        return run.finish(run.train())


def _result_if_over(folder: RunFolder, *, opens_test: bool) -> RunResult | None:
    """The result of a run of which nothing is left to do."""
    result = folder.result
    return result if result is not None and (result.is_complete or not opens_test) else None


def _over(result: RunResult, console: Console) -> dict[str, Any]:
    """What a run that is over has left, and that it is over."""
    values = result.whole()
    console.print(f"{result.run} is {values['status']}")
    return values


def run_of(recipe: Recipe, prepared: Prepared, fabric: Fabric, folder: Path) -> "Run":
    """What :func:`train` makes of the recipe; it writes nothing into ``folder``, and says nothing."""
    folder_read = RunFolder(folder, recipe, writes=False)
    workshop = workshop_of(recipe, prepared)
    return Run(recipe, prepared, workshop, settled_plan(recipe, workshop), folder_read, fabric, Console(quiet=True))


def _require_image_each(prepared: Prepared, processes: int) -> None:
    """Evaluation shares whole images among processes."""
    for part in ("validation", "test"):
        names = prepared.packed.frame["parent" if "parent" in prepared.packed.frame else "id"]
        count = names.iloc[prepared.rows[part]].nunique()
        if count < processes:
            raise UserError(f"the {part} part has {count} images for {processes} processes; start at most {count}")


@dataclass
class Run:
    """A recipe with everything that it needs, on its way to a result."""

    recipe: Recipe
    prepared: Prepared
    workshop: Workshop
    plan: Plan
    folder: RunFolder
    fabric: Fabric
    console: Console
    watchers: Sequence[Watcher] = ()
    opens_test: bool = True
    notes: list[str] = field(default_factory=list)  # that came up on the way
    placements: dict[str, Placement] = field(
        default_factory=dict
    )  # in which networks are computed, where that was measured
    folds: dict[int, NDArray[np.int64]] = field(default_factory=dict)  # of the training part, by how many there are

    audited: set[tuple[object, ...]] = field(default_factory=set)  # teachers of which it was said how good they are
    measures: Measures = field(init=False)  # by which networks are scored
    said_of_own: dict[str, Any] = field(init=False)  # of the user's own measures

    def __post_init__(self) -> None:
        self.measures = measures_for(self.recipe, self.prepared)
        self.said_of_own = said_of_own(self.recipe, self.measures)
        self.plan = replace(self.plan, stages=tuple(map(self._placed, self.plan.stages)))

    def _placed(self, stage: Stage) -> Stage:
        """The stage with `placement: auto` made definite."""
        if stage.training.placement != "auto":
            return stage
        pays = stage.phase_end * self._steps(stage) >= MEASURED_FROM and not stage.training.channels_last
        training = stage.training.model_copy(update={"placement": "measured" if pays else "fixed"})
        return replace(stage, training=training)

    def _steps(self, stage: Stage) -> int:
        """Steps of an epoch, but for what is left out or repeated."""
        return -(-len(self._rows(stage)) // stage.training.batch_size)

    def train(self) -> tuple[dict[str, Network], list[StageProgress]]:
        """Train every stage; return the reported networks with their chosen weights, and where training ended."""
        networks: dict[str, Network] = {}
        reported = {*filter(None, [self.plan.teacher]), *self.plan.students}
        ended: dict[str, StageProgress] = {}  # stages that no other goes on from
        self._try_stages()
        with Progress(self.console, self.recipe.monitor) as progress:
            watchers: list[Watcher] = [progress, *self.watchers]
            if self.recipe.training.tensorboard and self.fabric.is_global_zero:
                watchers.append(TensorBoard(self.folder.path / "tensorboard"))
            for planned in self.plan.stages:
                for name in planned.members:  # which are made anew: two teachers are never in memory together
                    networks.pop(name, None)
                stage = self.decided(planned)
                cohort = self.cohort(stage)
                self._audit(stage, cohort)
                batches = self.batches(stage, cohort)
                note = self.console.print
                with frozen_of(self.recipe, stage, cohort, batches, self.fabric, note) as replay:
                    cohort.frozen_outputs = replay
                    ended[stage.name] = fit(
                        self.fabric,
                        stage,
                        cohort,
                        batches,
                        lambda networks: self._evaluate(networks, "validation").scores,
                        self.folder,
                        monitor=self.recipe.monitor,
                        seed=self.recipe.seed,
                        watchers=[*watchers, replay],
                        note=self._note,
                    )
                ended.pop(stage.continues or "", None)
                networks |= {
                    name: network for name, network in unshared_networks(cohort.networks).items() if name in reported
                }
                if stage.last_epoch == stage.phase_end:  # a part may end before the first validation
                    for name in reported.intersection(stage.learners):
                        networks[name].load_state_dict(self.folder.load(self.folder.weights(stage.clock, name)))
                del cohort, batches, replay
        return networks, list(ended.values())

    def _audit(self, stage: Stage, cohort: Cohort) -> None:
        """Say of each teacher that is trained already how good it is, before anybody learns from it."""
        teachers = trained_teachers(stage, cohort, self.audited)
        if not teachers:
            return
        classes, found = self.prepared.packed.classes, self._evaluate(teachers, "validation")
        for sentence, is_warning in before_teaching(self.recipe, classes, found):
            if is_warning:
                self._note(f"{stage.name}: {sentence}")
            else:
                self.console.print(f"  {sentence}", highlight=False)

    def _try_stages(self) -> None:
        """Build all but the first stage: what cannot work is refused now, not after the first stage."""
        tried = set()
        for stage in self.plan.stages[1:]:
            self.batches(stage, self.cohort(stage, starts=False), resident=False)
            for name, choice in stage.choices.items():
                for member in choice.candidates.values():
                    if member.network not in tried:
                        self._network(stage, name, member, {}, starts=False)
                        tried.add(member.network)

    def decided(self, stage: Stage) -> Stage:
        """The stage with its choices made, each said once."""
        if not stage.choices:
            return stage
        made = make_choices(
            stage,
            self.folder,
            self.fabric,
            whole_part(self.fabric, self.prepared, "validation", self.recipe.training.batch_size),
            build=lambda name, member, starts: self._network(stage, name, member, {}, starts=starts),
        )
        for name, one in made.items():
            found = ", ".join(f"{candidate} {distance:.4g}" for candidate, distance in one["distances"].items())
            self._note(f"{stage.name}: {name} is {one['chosen']}; KL on the validation part: {found}")
        decided = {name: choice.candidates[made[name]["chosen"]] for name, choice in stage.choices.items()}
        return replace(stage, members={**stage.members, **decided}, choices={})

    def finish(self, trained: tuple[dict[str, Network], list[StageProgress]]) -> dict[str, Any]:
        """Choose on validation, then open the test split once, export, and write the result.

        What is chosen stands in a folder of its own and answers alone; ensembles are scored beside it.
        """
        networks, ended = trained
        seconds = sum(at.seconds for at in ended)
        names = (*filter(None, [self.plan.teacher]), *self.plan.students)
        reported = {name: networks[name].deployed() for name in names}
        evaluated = {**teachers_in(reported.get(self.plan.teacher or "")), **reported}
        validation = self._evaluate(evaluated, "validation", ensemble=True)
        scores = {name: found[self.recipe.monitor] for name, found in validation.scores.items()}
        test = self._evaluate(evaluated, "test", ensemble=True) if self.opens_test else None
        images = self._preprocessing(reported)
        result: dict[str, Any] = {
            "status": "complete" if test else "validated",
            "name": self.recipe.name,
            "task": self.recipe.task,
            "technique": self.recipe.technique.name,
            "strategy": self.recipe.technique.shared,
            "seed": self.recipe.seed,
            "chosen": max(self.plan.students or reported, key=lambda name: scores[name]),
            "test": test.scores if test else {},
            "validation": validation.scores,
            "fidelity": test.fidelity if test else {},
            "teacher_audit": audit_teacher(
                self.recipe, self.folder.path, self.plan, validation, self.prepared.packed.classes
            ),
            **self._costs(reported),
            **({"measures": self.said_of_own} if self.said_of_own else {}),
            "grouped_by": self.prepared.grouped_by,
            "notes": [without_places(note) for note in (*self.prepared.notes, *self.plan.notes, *self.notes)],
            "seconds": seconds,
            "images_per_second": sum(at.images for at in ended) / max(seconds, 1e-9),
        }
        if self.fabric.is_global_zero:
            if test:
                test.write(self.folder.path / PREDICTIONS / "test.csv")
            validation.write(self.folder.path / PREDICTIONS / "validation.csv")
            for name, network in reported.items():
                network.save(self.folder.path / NETWORKS / name, images)
            write_sealed(self.folder.path / ENVIRONMENT, self._environment())
            self.folder.write_result(result)
        self.fabric.barrier()
        return result

    def cohort(self, stage: Stage, *, starts: bool = True) -> Cohort:
        """The networks and edges of a stage; without ``starts``, weights of earlier stages are left out."""
        networks: dict[str, Network] = {}
        for name, member in stage.members.items():
            network = networks[name] = self._network(stage, name, member, networks, starts=starts)
            if isinstance(network, ComposedNetwork) and network.wants_scores:
                network.take_scores(self._scores(name, {one: networks[one] for one in network.inlets}, starts=starts))
        placements = {name: self.placements[name] for name in stage.members if name in self.placements}
        found = self.prepared.labels(self._rows(stage))
        labels = None if found is None else torch.from_numpy(found)
        cohort = Cohort(
            task=self.recipe.task,
            networks=networks,
            transfers=self.workshop.transfers(stage.edges),
            task_loss=build_task_loss(
                self.recipe.task_loss,
                self.recipe.task,
                classes=len(self.prepared.packed.classes),
                train_labels=labels,
                ignores=self.prepared.packed.ignores,
            ),
            task_weights={name: member.task_weight for name, member in stage.members.items()},
            facts=DataFacts(
                classes=len(self.prepared.packed.classes),
                batch_size=stage.training.batch_size // self.fabric.world_size,
                train_labels=labels,
                ignores=self.prepared.packed.ignores,
            ),
            precision=DTYPES[stage.training.precision],
            full_precision=[name for name, placement in placements.items() if not placement.half],
            folded=[name for name, placement in placements.items() if placement.folded],
            compiled=[name for name, placement in placements.items() if placement.compiled],
            batch_groups={name: placement.batch_group for name, placement in placements.items()},
            seed=self.recipe.seed,
        )
        for note in cohort.notes:
            self._note(note)
        return cohort

    def _network(
        self, stage: Stage, name: str, member: Member, networks: Mapping[str, Network], *, starts: bool = True
    ) -> Network:
        """A member as its stage begins; ``networks`` are those before it."""
        network = self.workshop.network(member.network, [networks[one] for one in member.builds_on])
        for note in network.notes:
            self._note(note)
        if not member.trains:
            if network.has_new_head and not member.starts:
                raise UserError(
                    f"{name} has a head of random numbers for these classes and cannot teach; "
                    "give as technique.teacher weights that were trained on this data"
                )
            network.freeze()
        if stage.training.placement == "measured" and not isinstance(network, ComposedNetwork):
            self._place(stage, name, network, trains=member.trains)
        elif stage.training.channels_last:
            network.to(memory_format=torch.channels_last)
        if stage.training.sync_batchnorm and member.trains:
            self._synchronise(network)
        if member.starts and starts:
            states = [self.folder.load(self.folder.weights(s.stage, s.network, s.which)) for s in member.starts]
            network.load_state_dict(own_state(network, {key: t for state in states for key, t in state.items()}))
        return network

    def _place(self, stage: Stage, name: str, network: Network, *, trains: bool) -> None:
        size = stage.training.batch_size // self.fabric.world_size
        network.to(self.fabric.device)
        steps = self._steps(stage)
        precision = DTYPES[stage.training.precision]
        found = place(
            network,
            size,
            folder=cache_root(self.recipe.data.cache) / PLACEMENTS,
            trains=trains,
            precision=precision,
            epochs=stage.phase_end,
            steps=steps,
        )
        network.channels_last = found.placement.channels_last
        network.to(memory_format=torch.channels_last if found.placement.channels_last else torch.contiguous_format)
        self.placements[name] = found.placement
        self._note(f"{stage.name}: {unshared(name)} is computed {found.words()}")

    def _scores(self, of: str, networks: Mapping[str, Network], *, starts: bool) -> dict[str, float]:
        """Validation score of each of ``networks``, which ``of`` reads; 0 as long as they lack their weights."""
        if not starts:
            return dict.fromkeys(networks, 0.0)
        monitor = self.recipe.monitor
        scores = {name: found[monitor] for name, found in self._evaluate(networks, "validation").scores.items()}
        told = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
        self._note(f"{of} weighs its sources by their validation {monitor}: {told}")
        return scores

    def _note(self, note: str) -> None:
        """Say it once, and keep it for the result."""
        if note not in self.notes:
            self.console.print(f"note: {note}")
            self.notes.append(note)

    def _synchronise(self, network: Network) -> None:
        """BatchNorm over all processes, which torch has for GPUs only."""
        if self.fabric.device.type != "cuda":
            raise UserError("training.sync_batchnorm wants GPUs; leave it out on a CPU")
        from timm.layers import convert_sync_batchnorm

        convert_sync_batchnorm(network)

    def _rows(self, stage: Stage) -> NDArray[np.int64]:
        """What the stage trains on."""
        if stage.fold is None:
            return self.prepared.rows["train"]
        number, count = stage.fold
        if count not in self.folds:
            self.folds[count] = training_folds(self.recipe, self.prepared, count)
        kept: NDArray[np.int64] = self.prepared.rows["train"][self.folds[count] != number - 1]
        return kept

    def batches(self, stage: Stage, cohort: Cohort, *, resident: bool | None = None) -> Batches:
        spec = stage.training
        if cohort.keeps_batch and spec.batch_size % self.fabric.world_size:
            raise UserError(
                f"training.batch_size {spec.batch_size} is not shared equally by {self.fabric.world_size} processes, "
                "and a loss of this recipe is built for one size of batch; choose a multiple"
            )
        smallest = (2 if cohort.needs_pairs else 1) * self.fabric.world_size
        if spec.batch_size < smallest:
            raise UserError(
                f"training.batch_size {spec.batch_size}: these images end as maps of one position, for which BatchNorm "
                f"wants two images per process; give at least {smallest}, or larger images"
            )
        batches = Batches(
            self.prepared.packed,
            self._rows(stage),
            batch_size=spec.batch_size,
            seed=self.recipe.seed,
            stream=stage.clock,
            augment=self.recipe.augment,
            shuffle=True,
            balance=spec.balance,
            drop_last=spec.drop_last or cohort.keeps_batch,
            smallest=smallest,
            device=self.fabric.device,
            workers=spec.workers,
            channels_last=spec.channels_last,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
            resident=resident,
            batch_group=max(cohort.batch_groups.values(), default=1),
        )
        if batches.left_out and not spec.drop_last:
            why = "a loss wants whole batches" if cohort.keeps_batch else "BatchNorm wants two images of their size"
            self._note(f"{batches.left_out} training images, others each time, sit out every epoch: {why}")
        return batches

    def _evaluate(self, networks: Mapping[str, Network], part: str, *, ensemble: bool = False) -> Evaluation:
        return evaluate(
            self.fabric,
            networks,
            self.prepared,
            part,
            measures=self.measures,
            teacher=self.plan.teacher if ensemble else None,
            students=self.plan.students if ensemble else (),
            batch_size=self.recipe.training.batch_size,
        )

    def _preprocessing(self, networks: Mapping[str, Network]) -> Preprocessing:
        """How images came to the networks; says for whom timm's padding would have another colour."""
        padding = padding_of(self.recipe)
        data = self.recipe.data
        packed = self.prepared.packed
        found = Preprocessing(
            resize="squash" if data.tile else data.resize,
            padding=padding,
            tile=data.tile,
            depth=packed.depth,
            levels=packed.levels,
        )
        for name, network in networks.items() if padding else ():
            if not isinstance(network, ComposedNetwork) and padding != (own := padding_for(network.blueprint.mean)):
                self._note(
                    f"{name} saw images padded with {padding}, the mean colour of the first student; timm's `border` "
                    f"would take its own, {own}: pad as networks/{name}/config.json says"
                )
        return found

    def _costs(self, networks: Mapping[str, Network]) -> dict[str, dict[str, int]]:
        costs = {name: cost_of(network) for name, network in networks.items()}
        fields = {"parameters": "parameters", "multiply_adds": "multiply_adds", "model_bytes": "size"}
        return {ours: {name: getattr(found, field) for name, found in costs.items()} for ours, field in fields.items()}

    def _environment(self) -> dict[str, Any]:
        return {
            "preceptor": version("preceptor"),
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "packages": {name: version(name) for name in ("torch", "timm", "segmentation-models-pytorch", "numpy")},
            "device": str(self.fabric.device),
            "processes": self.fabric.world_size,
            "threads": torch.get_num_threads(),
            "data_fingerprint": self.prepared.packed.fingerprint,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

"""From a stage of a plan to its networks, edges and batches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from rich.console import Console

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.instantiate import Workshop
from preceptor.composed.base import ComposedNetwork, own_state
from preceptor.data.batches import Batches
from preceptor.data.loading import Loading
from preceptor.data.order import SampleOrder, Share
from preceptor.data.prepare import Prepared, training_folds
from preceptor.errors import UserError
from preceptor.files import cache_root
from preceptor.knowledge.task_loss import build_task_loss
from preceptor.machine.placement import PLACEMENTS
from preceptor.measures.measure import Measures
from preceptor.measures.table import MEASURES
from preceptor.networks.network import Network
from preceptor.plan.merge import unshared
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.recipe import Recipe
from preceptor.specs import TaskLossSpec
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.choose import make_choices
from preceptor.training.computing import Computing
from preceptor.training.evaluate import Evaluator, whole_part
from preceptor.training.notes import Notes
from preceptor.training.planning import workshop_of
from preceptor.training.run_folder import folder_for
from preceptor.training.scored import measures_for


@dataclass(frozen=True, kw_only=True)
class StageBuilder:
    """Makes what a stage trains, with the weights that earlier stages left.

    Args:
        notes: gets what comes up on the way.
        measures: by which networks are scored.
    """

    recipe: Recipe
    prepared: Prepared
    fabric: Fabric
    workshop: Workshop
    checkpoints: Checkpoints
    notes: Notes
    computing: Computing
    measures: Measures
    folds: dict[int, NDArray[np.int64]] = field(default_factory=dict)  # of the training part, by how many there are

    @property
    def evaluator(self) -> Evaluator:
        """Evaluates networks on the parts of these data."""
        return Evaluator(self.fabric, self.prepared, self.recipe.training.batch_size, self.measures)

    def settled(self, plan: Plan) -> Plan:
        """The plan with `placement: auto` made definite."""
        stages = (self.computing.settled(stage, self._steps(stage)) for stage in plan.stages)
        return replace(plan, stages=tuple(stages))

    def try_out(self, stages: Iterable[Stage]) -> None:
        """Build stages that come later: what cannot work is refused now."""
        tried = set()
        for stage in stages:
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
            self.checkpoints,
            self.fabric,
            whole_part(self.fabric, self.prepared, "validation", self.recipe.training.batch_size),
            build=lambda name, member, starts: self._network(stage, name, member, {}, starts=starts),
        )
        for name, one in made.items():
            found = ", ".join(f"{candidate} {distance:.4g}" for candidate, distance in one["distances"].items())
            self.notes.add(f"{stage.name}: {name} is {one['chosen']}; KL on the validation part: {found}")
        decided = {name: choice.candidates[made[name]["chosen"]] for name, choice in stage.choices.items()}
        return replace(stage, members={**stage.members, **decided}, choices={})

    def cohort(self, stage: Stage, *, starts: bool = True) -> Cohort:
        """The networks and edges of a stage; without ``starts``, weights of earlier stages are left out."""
        networks: dict[str, Network] = {}
        for name, member in stage.members.items():
            network = networks[name] = self._network(stage, name, member, networks, starts=starts)
            if isinstance(network, ComposedNetwork) and network.wants_scores:
                network.take_scores(self._scores(unshared(name), network.among(networks), starts=starts))
        packed = self.prepared.packed
        found = None if stage.unlabelled else self.prepared.labels(self._rows(stage))
        labels = None if found is None else torch.from_numpy(found)
        lacks_labels = stage.unlabelled or self.prepared.lack_labels(self._rows(stage))
        cohort = Cohort(
            task=self.recipe.task,
            networks=networks,
            transfers=self.workshop.transfers(stage.edges),
            task_loss=build_task_loss(
                TaskLossSpec() if stage.unlabelled else self.recipe.task_loss,
                self.recipe.task,
                classes=len(packed.classes),
                train_labels=labels,
                ignores=packed.ignores,
                lacks_labels=lacks_labels,
            ),
            task_weights={name: member.task_weight for name, member in stage.members.items()},
            facts=DataFacts(
                classes=len(packed.classes),
                batch_size=stage.training.batch_size // self.fabric.world_size,
                train_labels=labels,
                ignores=packed.ignores,
                lacks_labels=lacks_labels,
            ),
            computing=self.computing.of(stage),
            seed=self.recipe.seed,
        )
        for note in cohort.notes:
            self.notes.add(note)
        return cohort

    def _network(
        self, stage: Stage, name: str, member: Member, networks: Mapping[str, Network], *, starts: bool = True
    ) -> Network:
        """A member as its stage begins; ``networks`` are those before it."""
        network = self.workshop.network(member.network, [networks[one] for one in member.builds_on])
        for note in network.notes:
            self.notes.add(note)
        if not member.trains:
            if network.has_new_head and not member.starts and not member.features_only:
                raise UserError(
                    f"{name} has a head of random numbers for these classes and cannot teach; "
                    "give as technique.teacher weights that were trained on this data"
                )
            network.freeze()
        self.computing.put(stage, name, network, self._steps(stage), trains=member.trains)
        if member.starts and starts:
            kept = self.checkpoints
            states = [kept.load(kept.weights(s.stage, s.network, s.which)) for s in member.starts]
            network.load_state_dict(own_state(network, {key: t for state in states for key, t in state.items()}))
        return network

    def _scores(self, of: str, networks: Mapping[str, Network], *, starts: bool) -> dict[str, float]:
        """Validation score of each of ``networks``, which ``of`` reads; 0 as long as they lack their weights."""
        if not starts:
            return dict.fromkeys(networks, 0.0)
        monitor = self.recipe.monitor
        scores = {name: found[monitor] for name, found in self.evaluator(networks, "validation").scores.items()}
        told = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
        self.notes.add(f"{of} weighs its sources by their validation {monitor}: {told}")
        return scores

    def _rows(self, stage: Stage) -> NDArray[np.int64]:
        """What the stage trains on; images without a label only where somebody learns from somebody."""
        if stage.unlabelled:
            return self.prepared.every("train")
        if stage.fold is None:
            return self.prepared.with_unlabelled("train") if stage.edges else self.prepared.rows["train"]
        number, count = stage.fold
        if count not in self.folds:
            self.folds[count] = training_folds(self.recipe, self.prepared, count)
        kept: NDArray[np.int64] = self.prepared.rows["train"][self.folds[count] != number - 1]
        return kept

    def _steps(self, stage: Stage) -> int:
        """Steps of an epoch, but for what is left out or repeated."""
        return -(-len(self._rows(stage)) // stage.training.batch_size)

    def in_order(self, stage: Stage) -> Batches:
        """What the stage trains on, every image once, as it is, in every process."""
        return Batches(
            self.prepared.unread if stage.unlabelled else self.prepared.packed,
            self._rows(stage),
            batch_size=stage.training.batch_size,
            order=SampleOrder(stream="evaluation"),
            loading=Loading(device=self.fabric.device),
        )

    def batches(self, stage: Stage, cohort: Cohort, *, resident: bool | None = None) -> Batches:
        """What the stage shows its networks; on the device as a whole where ``resident`` says so.

        Raises:
            UserError: a batch size that these networks, losses or processes cannot use.
        """
        spec = stage.training
        if self.fabric.world_size > 1 and not stage.unlabelled and cohort.lacks_labels:
            raise UserError(
                "images without a label are trained on by one process: the mean over the labelled ones of a batch is "
                "not that of its shares; start it without torchrun"
            )
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
            self.prepared.unread if stage.unlabelled else self.prepared.packed,
            self._rows(stage),
            batch_size=spec.batch_size,
            order=SampleOrder(
                seed=self.recipe.seed,
                stream=stage.clock,
                shuffle=True,
                balance=spec.balance,
                drop_last=spec.drop_last or cohort.keeps_batch,
                smallest=smallest,
            ),
            augment=self.recipe.augment,
            share=Share(self.fabric.global_rank, self.fabric.world_size),
            loading=Loading(
                device=self.fabric.device,
                workers=spec.workers,
                channels_last=spec.channels_last,
                resident=resident,
                batch_group=max(cohort.batch_groups.values(), default=1),
            ),
        )
        if batches.left_out and not spec.drop_last:
            why = "a loss wants whole batches" if cohort.keeps_batch else "BatchNorm wants two images of their size"
            self.notes.add(f"{batches.left_out} training images, others each time, sit out every epoch: {why}")
        return batches


def builder_for(
    recipe: Recipe,
    prepared: Prepared,
    fabric: Fabric,
    checkpoints: Checkpoints,
    notes: Notes,
    workshop: Workshop | None = None,
    measures: Measures | None = None,
) -> StageBuilder:
    """What builds the stages of a recipe's run on its images.

    Args:
        measures: by which networks are scored; those of the recipe where not given, whose files are then run.
    """
    return StageBuilder(
        recipe=recipe,
        prepared=prepared,
        fabric=fabric,
        workshop=workshop or workshop_of(recipe, prepared),
        checkpoints=checkpoints,
        notes=notes,
        computing=Computing(fabric, notes, cache_root(recipe.data.cache) / PLACEMENTS),
        measures=measures_for(recipe, prepared) if measures is None else measures,
    )


def reading_builder(recipe: Recipe, prepared: Prepared, fabric: Fabric, folder: Path) -> StageBuilder:
    """A builder that reads what a run left in ``folder``, writes nothing there and says nothing."""
    checkpoints = Checkpoints(folder_for(folder, recipe, writes=False))
    notes = Notes(Console(quiet=True))
    return builder_for(recipe, prepared, fabric, checkpoints, notes, measures=MEASURES[recipe.scored_in])

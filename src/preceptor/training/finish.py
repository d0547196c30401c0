"""The end of a run: choosing on validation, testing once, exporting, and the result."""

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch

from preceptor import __version__
from preceptor.composed.base import ComposedNetwork
from preceptor.composed.committee import teachers_in
from preceptor.data.appearance import looks_csv
from preceptor.data.prepare import Prepared, padding_of
from preceptor.files import write_text
from preceptor.machine.latency import latencies
from preceptor.measures.measure import MaskAnswers, scores_of
from preceptor.measures.segmentation import mask_counts
from preceptor.measures.table import with_own
from preceptor.networks.cost import cost_of
from preceptor.networks.network import Network
from preceptor.networks.normalisation import padding_for
from preceptor.networks.preprocessing import Preprocessing
from preceptor.places import without_places
from preceptor.plan.stage import Plan
from preceptor.recipe import Recipe
from preceptor.runs.analysis import write_latency
from preceptor.runs.folder import RunFolder
from preceptor.runs.predictions import write_predictions
from preceptor.runs.result import RunResult
from preceptor.sealed import write_sealed
from preceptor.specs import IGNORED
from preceptor.training.audit import audit_teacher
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.evaluate import Evaluation, Evaluator
from preceptor.training.fit import StageProgress
from preceptor.training.held_knowledge import HeldKnowledge
from preceptor.training.notes import Notes
from preceptor.training.probing import neighbours_of
from preceptor.training.scored import said_of_own


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training left.

    Args:
        networks: the reported ones, by name, with their chosen weights.
        ended: where training ended, a stage that no other goes on from each.
        judge: what scores the networks where no label was read.
    """

    networks: Mapping[str, Network]
    ended: Sequence[StageProgress]
    judge: HeldKnowledge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """Finishes a run in its folder.

    Args:
        notes: with what came up while it was trained.
        opens_test: False keeps the test part sealed.
    """

    recipe: Recipe
    prepared: Prepared
    plan: Plan
    folder: RunFolder
    evaluator: Evaluator
    notes: Notes
    opens_test: bool = True

    def finish(self, trained: Trained) -> RunResult:
        """Choose on validation, then open the test split once, export, and write the result.

        What is chosen stands in a folder of its own and answers alone; ensembles are scored beside it.
        """
        fabric = self.evaluator.fabric
        reported = {name: trained.networks[name].deployed() for name in self.plan.reported}
        beside = neighbours_of(self.plan.stages[-1], reported, Checkpoints(self.folder))
        evaluated = {**teachers_in(reported.get(self.plan.teacher or "")), **reported, **beside}
        validation = self._evaluate(evaluated, "validation", trained)
        test = self._evaluate(evaluated, "test", trained) if self.opens_test else None
        images = self._preprocessing(reported)
        result = self._result(trained, reported, validation, test)
        if fabric.is_global_zero:
            files = self.folder.files
            for part, found in (("test", test), ("validation", validation)):
                if found and len(found.table):
                    write_predictions(files.predictions_of(part), found.table)
            if test and test.surfaces is not None:
                write_predictions(files.surfaces_of("test"), test.surfaces)
            write_text(files.looks, looks_csv(self.prepared))
            for name, network in reported.items():
                network.save(files.network(name), images)
            if beside:  # a probe's question is what each network costs for what it knows
                write_latency(self.folder.path, latencies(reported))
            write_sealed(files.environment, self._environment())
            self.folder.write_result(result)
        fabric.barrier()
        return result

    def _evaluate(self, networks: Mapping[str, Network], part: str, trained: Trained) -> Evaluation:
        if self.recipe.is_label_free:
            assert trained.judge is not None, "the last stage reads no label"
            scores = trained.judge({name: trained.networks[name] for name in self.plan.students}, part)
            return Evaluation(scores, {}, pd.DataFrame(), self.evaluator.measures)
        teacher, students = self.plan.teacher, self.plan.students
        tolerance = self.recipe.surface_tolerance if part == "test" else None  # once, for it takes its time
        return self.evaluator(networks, part, teacher=teacher, students=students, tolerance=tolerance)

    def _result(
        self, trained: Trained, reported: Mapping[str, Network], validation: Evaluation, test: Evaluation | None
    ) -> RunResult:
        seconds = sum(at.seconds for at in trained.ended)
        sign = 1 if self.evaluator.measures[self.recipe.monitor].higher_is_better else -1
        scores = {name: sign * found[self.recipe.monitor] for name, found in validation.scores.items()}
        costs = {name: cost_of(network) for name, network in reported.items()}
        classes = self.prepared.packed.classes
        return RunResult(
            status="complete" if test else "validated",
            name=self.recipe.name,
            task=self.recipe.task,
            technique=self.recipe.technique.name,
            strategy=self.recipe.technique.shared,
            seed=self.recipe.seed,
            chosen=max(self.plan.students or reported, key=lambda name: scores[name]),
            test=test.scores if test else {},
            validation=validation.scores,
            fidelity=test.fidelity if test else {},
            teacher_audit=audit_teacher(self.recipe, self.folder.path, self.plan, validation, classes),
            parameters={name: cost.parameters for name, cost in costs.items()},
            multiply_adds={name: cost.multiply_adds for name, cost in costs.items()},
            model_bytes={name: cost.size for name, cost in costs.items()},
            second_observer=self._second_observer() if test else {},
            measures=said_of_own(self.recipe, self.evaluator.measures),
            labels=dict(self.prepared.labels_used),
            grouped_by=self.prepared.grouped_by,
            notes=tuple(map(without_places, (*self.prepared.notes, *self.plan.notes, *self.notes.kept))),
            seconds=seconds,
            images_per_second=sum(at.images for at in trained.ended) / max(seconds, 1e-9),
        )

    def _second_observer(self) -> dict[str, float]:
        """Scores of a second observer's masks of the test images, as if they were a network's; empty without one."""
        packed, second = self.prepared.packed, self.prepared.second
        if second is None:
            return {}
        ids = packed.frame["parent" if "parent" in packed.frame else "id"].iloc[self.prepared.rows["test"]]
        counts = [
            mask_counts(np.where(of_second == IGNORED, 0, of_second), first, classes=len(packed.classes))
            for first, of_second in second.pairs(ids.tolist())
        ]
        if not counts:
            return {}
        scores = scores_of(with_own(packed.task, (), packed.classes), MaskAnswers(np.concatenate(counts)))
        return {"images": float(len(counts)), **scores}

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
                self.notes.add(
                    f"{name} saw images padded with {padding}, the mean colour of the first student; timm's `border` "
                    f"would take its own, {own}: pad as networks/{name}/config.json says"
                )
        return found

    def _environment(self) -> dict[str, Any]:
        fabric = self.evaluator.fabric
        return {
            "preceptor": __version__,
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "packages": {name: version(name) for name in ("torch", "timm", "segmentation-models-pytorch", "numpy")},
            "device": str(fabric.device),
            "processes": fabric.world_size,
            "threads": torch.get_num_threads(),
            "data_fingerprint": self.prepared.packed.fingerprint,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

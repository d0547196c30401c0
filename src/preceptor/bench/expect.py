"""What a run will cost, from a few measured steps of each of its stages: time, memory and disk."""

import resource
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console

from preceptor.bench.report import pace_of, phases
from preceptor.bench.steps import Steps
from preceptor.composed.base import answers, standing
from preceptor.data.prepare import Prepared, prepare
from preceptor.machine.fabric import make_fabric
from preceptor.networks.network import Network
from preceptor.plan.stage import Stage
from preceptor.recipe import Recipe
from preceptor.specs import TrainingSpec
from preceptor.training.build import builder_for
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.evaluate import whole_part
from preceptor.training.notes import Notes
from preceptor.training.planning import workshop_of
from preceptor.training.run import TrainingRun
from preceptor.training.run_folder import folder_for

EVALUATED = 8
"""Batches from which the time of an evaluation is known."""

_MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1}
"""Values that an optimiser keeps for each weight; plain SGD keeps none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one run will cost here.

    Args:
        steps: of training, in all its stages.
        seconds: of training, validation and the final evaluation.
        step_seconds: of training alone, by step.
        memory: most bytes that the process, or on a GPU torch, held.
        disk: bytes of the run folder.
        packed: folder of the packed images, and its bytes.
        teachers: bytes that keeping what frozen networks say would take, within the budget.
    """

    steps: int
    seconds: float
    step_seconds: float
    memory: int
    disk: int
    packed: tuple[str, int]
    teachers: int


def expected_apart(recipe: Recipe, spared: Collection[str], *, steps: int, device: str) -> Expected:
    """:func:`expected` in a process of its own, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(expected, recipe, tuple(spared), steps=steps, device=device).result()


def expected(recipe: Recipe, spared: Collection[str], *, steps: int, device: str) -> Expected:
    """Measure ``steps`` steps of each stage of a recipe but those ``spared``; images are packed if they are not yet.

    Raises:
        UserError: what training would refuse.
    """
    fabric = make_fabric(device)
    torch.set_num_threads(recipe.training.threads or torch.get_num_threads())
    prepared = prepare(recipe, lambda line: None)
    workshop = workshop_of(recipe, prepared)
    plan = recipe.plan(workshop)
    plan = workshop.settled(replace(plan, stages=tuple(one for one in plan.stages if one.name not in spared)))
    with tempfile.TemporaryDirectory() as scratch:
        quiet = Console(quiet=True)
        checkpoints = Checkpoints(folder_for(Path(scratch) / "run", recipe, writes=False))
        run = TrainingRun(builder_for(recipe, prepared, fabric, checkpoints, Notes(quiet), workshop), plan, quiet)
        found = [_of_phase(run, alike, steps, Path(scratch) / alike[0].name) for alike in phases(run.plan.stages)]
    trained = sum(one.steps for one in found)
    packed = prepared.packed.folder
    return Expected(
        steps=trained,
        seconds=sum(one.training + one.evaluation for one in found) + found[-1].last_evaluation,
        step_seconds=sum(one.training for one in found) / trained,
        memory=_memory(fabric),
        disk=sum(one.checkpoints for one in found) + found[-1].exported,
        packed=(str(packed), sum(file.stat().st_size for file in packed.iterdir())),
        teachers=min(sum(one.kept for one in found), int(recipe.training.teacher_cache.budget * 2**30)),
    )


@dataclass(frozen=True, slots=True)
class _Phase:
    """What the stages of one phase take: steps, seconds, bytes."""

    steps: int
    training: float
    evaluation: float
    last_evaluation: float
    checkpoints: int
    exported: int
    kept: int


def _of_phase(run: TrainingRun, alike: Sequence[Stage], steps: int, scratch: Path) -> _Phase:
    scratch.mkdir()
    stage, keeps = alike[0], run.recipe.training.teacher_cache.enabled
    ready = Steps(run, stage, scratch)
    pace = pace_of(ready, alike, steps)
    networks = standing(ready.cohort.networks)
    learners = {name: networks[name] for name in stage.learners}
    reported = {name: net for name, net in networks.items() if name in (*run.plan.students, run.plan.teacher)}
    prepared = run.builder.prepared
    rows = prepared.rows
    validations = sum(-(-(one.last_epoch - one.first_epoch) // one.training.validate_every) for one in alike)
    per_image = _seconds_per_image(run.fabric, prepared, learners, stage.training.batch_size)
    last = _seconds_per_image(run.fabric, prepared, reported, stage.training.batch_size)
    sizes = {name: _bytes(network) for name, network in networks.items()}
    best = sum(sizes[name] for name in learners)
    snapshots = sum(len(one.snapshots) for one in alike)
    return _Phase(
        steps=pace.steps * pace.epochs,
        training=pace.seconds(keeps=keeps),
        evaluation=validations * len(rows["validation"]) * per_image,
        last_evaluation=(len(rows["validation"]) + len(rows["test"])) * last,
        checkpoints=int(best * (1 + snapshots) + _bytes(ready.cohort) * (1 + _kept_beside(stage.training))),
        exported=sum(sizes[name] for name in reported),
        kept=_answers_bytes(ready, pace.views) if keeps else 0,
    )


@torch.no_grad()
def _seconds_per_image(fabric: Fabric, prepared: Prepared, networks: Mapping[str, Network], batch_size: int) -> float:
    if not networks:
        return 0.0
    some = prepared.rows["validation"][: EVALUATED * batch_size]
    for network in networks.values():
        network.to(fabric.device).eval()
    began = time.perf_counter()
    for batch in whole_part(
        fabric, replace(prepared, rows={**prepared.rows, "validation": some}), "validation", batch_size
    ).epoch(0):
        for said in answers(networks, batch.images).values():
            said.logits.cpu()
    return (time.perf_counter() - began) / len(some)


def _kept_beside(spec: TrainingSpec) -> int:
    """How many values are kept for each weight besides itself."""
    moments = 0 if spec.optimizer == "sgd" and not spec.momentum else _MOMENTS[spec.optimizer]
    return moments + (spec.ema is not None)


def _answers_bytes(ready: Steps, views: int) -> int:
    """Of everything that others read of frozen networks, for each image in each of its versions."""
    per_image = 0
    for name in ready.cohort.asked:
        network = ready.cohort.frozen[name]
        read = {"logits", *network.taps_read}
        per_image += sum(4 * torch.Size(network.shapes[tap]).numel() for tap in read if tap in network.shapes)
    return per_image * views * len(ready.batches.rows)


def _bytes(module: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())


def _memory(fabric: Fabric) -> int:
    if fabric.device.type == "cuda":
        return torch.cuda.max_memory_allocated(fabric.device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB

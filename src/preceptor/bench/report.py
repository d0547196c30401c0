"""Measuring a recipe: every kind of step that it trains with, and what would make them faster."""

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from preceptor.bench.advice import Change, Pace, Tried, first_thing, from_the_pace, to_try
from preceptor.bench.machine import Best, measure_best
from preceptor.bench.steps import Steps, Teacher
from preceptor.data.prepare import Prepared, prepare
from preceptor.data.repair import on_sound_pixels
from preceptor.errors import UserError
from preceptor.machine.fabric import make_fabric
from preceptor.plan.stage import Stage
from preceptor.recipe import Recipe, changed_recipe
from preceptor.training.computing import DTYPES
from preceptor.training.run import TrainingRun, run_of

ROUNDS = 2
"""How often a change and the recipe as it is are timed in turn."""

HOPELESS = 0.5
"""A change that is so slow in the first round is not timed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """One stage, or several of one phase, which are alike.

    Args:
        name: of the stage, or of the first one.
        seconds: of the training steps of the whole stage, as measured here.
    """

    name: str
    batch_size: int
    pace: Pace
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """What was found.

    Args:
        threads: that computed.
        tried: changes, tried on the stage that takes longest.
        slowest: its name.
        advice: one sentence.
    """

    device: str
    threads: int
    precision: str
    best: Best
    stages: Sequence[StageReport]
    slowest: str
    tried: Sequence[Tried]
    advice: str


def bench(recipe: Recipe, *, steps: int, device: str = "auto", note: Callable[[str], None]) -> BenchReport:
    """Measure the recipe; nothing is left but packed images and, as by a run, what placement measured.

    Args:
        steps: that are timed of each kind.
        note: says what is being measured.

    Raises:
        UserError: what training would refuse, or several processes.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("bench measures one process; start it without torchrun")
    fabric = make_fabric(device)
    torch.set_num_threads(recipe.training.threads or torch.get_num_threads())
    before = torch.get_num_threads()

    def measured() -> BenchReport:
        note("reading images")
        prepared = prepare(recipe)
        with tempfile.TemporaryDirectory() as folder:
            return _Bench(prepared, fabric, steps, Path(folder), note).report(recipe)

    try:
        return on_sound_pixels(measured)
    finally:
        torch.set_num_threads(before)


@dataclass
class _Bench:
    prepared: Prepared
    fabric: Fabric
    steps: int
    scratch: Path
    note: Callable[[str], None]

    def report(self, recipe: Recipe) -> BenchReport:
        threads = torch.get_num_threads()
        self.note("what this machine computes at best")
        best = measure_best(self.fabric.device, DTYPES[recipe.training.precision])
        run = run_of(recipe, self.prepared, self.fabric, self.scratch / "run")
        found = []
        for alike in phases(run.plan.stages):
            self.note(f"stage {alike[0].name}")
            found.append(self._stage(run, alike))
        slowest = max(found, key=lambda one: one.seconds)
        stage = next(stage for stage in run.plan.stages if stage.name == slowest.name)
        tried = from_the_pace(recipe, slowest.pace) + self._try(run, stage, slowest.pace)
        return BenchReport(
            device=str(self.fabric.device),
            threads=threads,
            precision=recipe.training.precision,
            best=best,
            stages=found,
            slowest=slowest.name,
            tried=tried,
            advice=first_thing(tried),
        )

    def _ready(self, run: TrainingRun, stage: Stage) -> Steps:
        return Steps(run, stage, Path(tempfile.mkdtemp(dir=self.scratch)))

    def _stage(self, run: TrainingRun, alike: Sequence[Stage]) -> StageReport:
        pace = pace_of(self._ready(run, alike[0]), alike, self.steps)
        seconds = pace.seconds(keeps=run.recipe.training.teacher_cache.enabled)
        return StageReport(name=alike[0].name, batch_size=alike[0].training.batch_size, pace=pace, seconds=seconds)

    def _try(self, run: TrainingRun, stage: Stage, pace: Pace) -> list[Tried]:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = torch.get_num_threads()
        changes = to_try(stage.training, pace, threads=threads, cores=cores)
        keeps = run.recipe.training.teacher_cache.enabled and pace.mostly_reads
        teacher: Teacher = "read" if keeps else "computed"
        return [Tried(change, self._gain(run, stage, change, teacher)) for change in changes]

    def _gain(self, run: TrainingRun, stage: Stage, change: Change, teacher: Teacher) -> float:
        """Images per second after the change over those before, the two timed in turn."""
        self.note(f"trying {change.words}")
        recipe, _ = changed_recipe(run.recipe.model_dump(mode="json"), change.settings)
        now, threads = self._ready(run, stage), torch.get_num_threads()
        torch.set_num_threads(recipe.training.threads or threads)
        other_run = run_of(recipe, self.prepared, self.fabric, self.scratch / "run")
        other_stage = next(one for one in other_run.plan.stages if one.name == stage.name)
        other = self._ready(other_run, other_stage)
        count = max(1, self.steps // ROUNDS)
        rates = []
        images = other_stage.training.batch_size / stage.training.batch_size
        for _ in range(ROUNDS):
            before = now.measure(count, teacher).seconds
            rates.append(images * before / other.measure(count, teacher).seconds)
            if rates[0] < HOPELESS:
                break
        torch.set_num_threads(threads)
        return statistics.median(rates)


def pace_of(ready: Steps, alike: Sequence[Stage], steps: int) -> Pace:
    """What the epochs of stages of one phase take, by ``steps`` of each kind of step of the first of them."""
    batches = ready.batches
    views = [len({batches.view(epoch) for epoch in range(one.first_epoch, one.last_epoch)}) for one in alike]
    return Pace(
        computed=ready.measure(steps, "computed"),
        read=ready.measure(steps, "read") if ready.has_frozen else None,
        steps=len(batches),
        epochs=sum(one.last_epoch - one.first_epoch for one in alike),
        views=sum(views),
    )


def phases(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Stages by phase: those that go on from one another train the same networks."""
    found: dict[str, list[Stage]] = {}
    for stage in stages:
        found.setdefault(stage.clock, []).append(stage)
    return list(found.values())

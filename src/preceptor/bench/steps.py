"""Steps of one stage as training makes them, with a clock on each part."""

import statistics
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from preceptor.bench.machine import wait_for_device
from preceptor.cohort.frozen import FixedSize, FrozenOutputs
from preceptor.composed.base import ComposedNetwork
from preceptor.data.batches import Batch
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.plan.stage import Stage
from preceptor.randomness import key
from preceptor.teacher_cache.of_stage import frozen_of
from preceptor.training.run import TrainingRun
from preceptor.training.update import Update

Teacher = Literal["computed", "read"]
DATA, LOSSES, BACKWARD, OPTIMISER = "waiting for data", "losses", "backward", "optimiser"
WARM_UP = 2

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Timed:
    """What a step takes.

    Args:
        seconds: of a step, waiting for data included; the median on a CPU, the mean on a GPU.
        shares: of each part in all steps together; what they leave to 1 is everything else.
        multiply_adds: of a step, as counted: convolutions, matrix products and attention, forward and backward.
    """

    seconds: float
    shares: Mapping[str, float]
    multiply_adds: int


class Clock:
    """Adds up the time of named parts; waits for a GPU at their borders if it is to."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.waits = False

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        began = self.now()
        try:
            yield
        finally:
            self.spent[part] = self.spent.get(part, 0.0) + self.now() - began

    def now(self) -> float:
        """Seconds, once all is done that was begun."""
        if self.waits:
            wait_for_device()
        return time.perf_counter()

    def around(self, part: str, call: Callable[_P, _R]) -> Callable[_P, _R]:
        """``call`` with the clock on."""

        @wraps(call)
        def timed(*given: _P.args, **named: _P.kwargs) -> _R:
            with self(part):
                return call(*given, **named)

        return timed


class Steps:
    """A stage of a run, ready to make steps; its networks start anew, not from what earlier stages leave.

    Args:
        scratch: an empty folder, where what frozen networks say is kept for a while.
    """

    def __init__(self, run: TrainingRun, stage: Stage, scratch: Path) -> None:
        builder = run.builder
        self.stage, self._device = stage, run.fabric.device
        self._threads, self._seed = torch.get_num_threads(), run.recipe.seed
        self.cohort = builder.cohort(stage, starts=False)
        self.cohort.to_device(self._device)
        self.batches = builder.batches(stage, self.cohort)
        spec = stage.training
        self._update = Update(stage, self.cohort, run.fabric)
        recipe = run.recipe.model_copy(
            update={
                "data": run.recipe.data.model_copy(update={"cache": str(scratch)}),
                "training": run.recipe.training.model_copy(
                    update={"teacher_cache": run.recipe.training.teacher_cache.model_copy(update={"enabled": True})}
                ),
            }
        )
        self._answers: dict[Teacher, FrozenOutputs] = {
            "computed": FixedSize(spec.batch_size, batch_groups=self.cohort.batch_groups),
            "read": frozen_of(recipe, stage, self.cohort, self.batches, run.fabric, lambda line: None),
        }
        self._clock = Clock()
        self._watch()

    @property
    def has_frozen(self) -> bool:
        """Whether a network only teaches, so that what it says can be kept."""
        return bool(self.cohort.asked)

    def measure(self, count: int, teacher: Teacher) -> Timed:
        """Time ``count`` steps on the stage's first images, after a few that warm up.

        Args:
            teacher: ``read`` keeps what frozen networks say of these images in a first pass and then reads it.
        """
        torch.set_num_threads(self._threads)
        batch_group = max(self.cohort.batch_groups.values(), default=1)  # of its steps, the first asks for all
        count = -(-count // batch_group) * batch_group
        if teacher == "read":
            self._run(min(WARM_UP + count, len(self.batches)), teacher, epoch=0)
        self._run(1, teacher, epoch=1)  # what is read first is computed too, to compare
        with FlopCounterMode(display=False) as counter:
            self._run(batch_group, teacher, epoch=1)
        times = self._run(WARM_UP + count, teacher, epoch=2)[WARM_UP:]
        seconds = statistics.median(statistics.fmean(times[n : n + batch_group]) for n in range(0, count, batch_group))
        if self._device.type == "cuda":
            seconds = statistics.mean(times)
            self._clock.waits = True
            times = self._run(WARM_UP + count, teacher, epoch=3)[WARM_UP:]
            self._clock.waits = False
        shares = {part: spent / sum(times) for part, spent in self._clock.spent.items()}
        return Timed(seconds, shares, counter.get_total_flops() // (2 * batch_group))

    def _run(self, count: int, teacher: Teacher, *, epoch: int) -> list[float]:
        """Seconds of each of ``count`` steps; the clock's parts are those after the warm-up.

        Args:
            epoch: what :class:`~preceptor.teacher_cache.replay.Replay` knows one pass from the next by.
        """
        self.cohort.train()
        self._answering = self._answers[teacher]
        times = []
        batches = self._first_batches(count)
        for number in range(count):
            if number == WARM_UP:
                self._clock.spent.clear()
            if self._device.type == "cuda" and number in (WARM_UP, count - 1):
                wait_for_device()
            began = time.perf_counter()
            with self._clock(DATA):
                batch = next(batches)
            self._step(batch, number, self.stage.last_epoch + epoch)
            if self._device.type == "cuda" and number == count - 1:
                wait_for_device()
            times.append(time.perf_counter() - began)
        batches.close()
        return times

    def _first_batches(self, count: int) -> Generator[Batch, None, None]:
        """The first ``count`` batches of the stage's first epoch, again and again where there are fewer."""
        left = count
        while left:
            for batch in self.batches.epoch(self.stage.first_epoch):
                yield batch
                left -= 1
                if not left:
                    return

    def _step(self, batch: Batch, number: int, epoch: int) -> None:
        stage, clock = self.stage, self._clock
        stream = key(self._seed, stage.clock, epoch, number, 0)
        said = self.cohort.ask(batch, epoch, self._ask)
        for turn in stage.turns or (None,):
            terms = self.cohort(batch, epoch, stream, turn, said)
            with clock(OPTIMISER):
                self._update.set_rate(stage.first_epoch + number / len(self.batches))
            with clock(BACKWARD):
                self._update.gradients(torch.stack(tuple(terms.values())))
            with clock(OPTIMISER):
                self._update.weights()
        with clock(OPTIMISER):
            self._update.average()

    def _watch(self) -> None:
        """Put the clock on every network and loss of the cohort."""
        clock, cohort = self._clock, self.cohort
        for name, network in cohort.networks.items():
            if isinstance(network, ComposedNetwork):
                network.combine = clock.around(_part(name, network), network.combine)  # type: ignore[method-assign]
            elif not network.is_frozen:
                cohort.calls[name] = clock.around(_part(name, network), cohort.calls[name])  # type: ignore[assignment]
        for loss in (cohort.task_loss, *cohort.losses.values()):
            loss.forward = clock.around(LOSSES, loss.forward)

    def _ask(self, name: str, network: Network, batch: Batch, epoch: int) -> Outputs:
        with self._clock(_part(name, network)):
            return self._answering(name, network, batch, epoch)


def _part(name: str, network: Network) -> str:
    return f"{name} forward{', frozen' if network.is_frozen else ''}"


def parts_in_order(parts: Collection[str]) -> list[str]:
    """``parts`` as they follow one another in a step."""
    last = [LOSSES, BACKWARD, OPTIMISER]
    return [*(part for part in parts if part not in last), *(part for part in last if part in parts)]

"""The one training loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Protocol

import torch
import torch.distributed
from lightning_fabric import Fabric

from preceptor.cohort.cohort import Cohort, losses_into
from preceptor.cohort.frozen import FrozenOutputs
from preceptor.composed.base import standing
from preceptor.data.batches import Feed
from preceptor.errors import InterruptedRunError, NonFiniteLossError
from preceptor.measures.features import KNOWLEDGE_LOSS
from preceptor.networks.network import Network
from preceptor.plan.stage import Stage
from preceptor.randomness import key
from preceptor.runs.folder import RunFolder
from preceptor.stopping import stop_requests
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.graphed import Graphed, recorder_of
from preceptor.training.step import Step
from preceptor.training.terms import TermSums, total_of
from preceptor.training.update import Stateful, Update

Validate = Callable[[Mapping[str, Network]], dict[str, dict[str, float]]]
"""Networks by name -> their validation scores by name."""


class Watcher(Protocol):
    """Whoever shows how training goes."""

    def stage(self, stage: Stage, first_epoch: int, steps: int) -> None: ...
    def step(self, epoch: int, step: int, images: int, waited: float) -> None: ...
    def epoch(self, epoch: int, losses: Mapping[str, float], scores: Mapping[str, Mapping[str, float]]) -> None: ...


@dataclass
class StageProgress:
    """Where a stage stands: everything besides weights and optimiser that a resumed one needs."""

    epoch: int = 0  # epochs of the phase that are done
    step: int = 0  # steps of the current epoch that are done
    seen: int = 0  # samples of the current epoch that are done
    sums: dict[str, float] = field(default_factory=dict)  # of the loss terms in the current epoch
    best: dict[str, float] = field(default_factory=dict)  # validation score by network
    waited: dict[str, int] = field(default_factory=dict)  # epochs since it was reached
    metrics: int = 0  # bytes of metrics.csv
    metrics_sha256: str = ""  # of these bytes; empty in a checkpoint of an older version
    images: int = 0  # trained on in all
    seconds: float = 0.0  # spent in training steps in all


def train_stage(
    fabric: Fabric,
    stage: Stage,
    cohort: Cohort,
    batches: Feed,
    validate: Validate,
    folder: RunFolder,
    *,
    monitor: str,
    seed: int,
    frozen_outputs: FrozenOutputs | None = None,
    watchers: Sequence[Watcher] = (),
    note: Callable[[str], None] = lambda line: None,
) -> StageProgress:
    """Train the cohort's trainable networks; go on from the stage's checkpoint where there is one.

    Leaves the best weights of every network by validation, snapshots, and the last checkpoint; returns
    where the stage ended.

    Args:
        frozen_outputs: gets what frozen networks say; None computes it.
        note: says a line to the user.

    Raises:
        NonFiniteLossError: names the terms, epoch, step and sample ids; the last checkpoint is kept.
        InterruptedRunError: SIGTERM or SIGINT came; the checkpoint holds the step reached.
    """
    spec, checkpoints = stage.training, Checkpoints(folder)
    cohort.to_device(fabric.device)
    learner = fabric.setup_module(cohort)
    recorder = recorder_of(stage, fabric)
    update = Update(stage, cohort, fabric, is_recorded=recorder is not None)
    plain = Step(stage, cohort, learner, update, frozen_outputs)
    step = Graphed(plain, cohort, spec.batch_size, recorder, note) if recorder else plain
    parts: dict[str, Stateful] = {"cohort": cohort, **update.parts}
    at = _restore(stage, checkpoints, parts)
    for watcher in watchers:
        watcher.stage(stage, at.epoch, len(batches))

    def save() -> None:
        at.metrics, at.metrics_sha256 = folder.log.size, folder.log.digest
        state = {"at": asdict(at), **{name: part.state_dict() for name, part in parts.items()}}
        checkpoints.save(checkpoints.last(stage.name), state)

    if _is_finished(at, stage) and not checkpoints.last(stage.name).exists():
        save()  # it continues a stage that ended early, and stages that continue this one start from here
    with (
        stop_requests(second_ends=True) as asked,
        closing(batches.epochs(at.epoch, stage.last_epoch, at.step)) as coming,
    ):
        while not _is_finished(at, stage):
            cohort.train()
            sums = TermSums(fabric, batches.packed, at.sums)
            began = waiting = time.monotonic()
            for batch in islice(coming, len(batches) - at.step):
                waited = time.monotonic() - waiting
                stream = key(seed, stage.clock, at.epoch, at.step, fabric.global_rank)
                update.set_rate(at.epoch + at.step / len(batches))
                # Shares of a batch may differ by one sample; averaging gradients must not weigh them alike.
                share = len(batch.positions) * fabric.world_size / batch.whole
                for terms in step(batch, at.epoch + 1, stream, share):
                    sums.add(terms, at.epoch + 1, at.step, batch.rows)
                update.average()
                at.step += 1
                at.seen += batch.whole
                for watcher in watchers:
                    watcher.step(at.epoch + 1, at.step, batch.whole, waited)
                waiting = time.monotonic()
                if asked.count and fabric.world_size == 1:
                    at.sums = sums.totals()
                    save()
                    raise _interrupted(folder)
            totals = sums.totals()
            _check_weights(cohort, at.epoch + 1)
            at.seconds += time.monotonic() - began
            at.images += at.seen

            losses = {name: total / at.seen for name, total in totals.items()}
            averages = update.averages
            if fabric.world_size > 1:  # BatchNorm statistics are per process; what is scored must be what is saved
                for buffer in (*cohort.buffers(), *(averages.copies.buffers() if averages else ())):
                    torch.distributed.broadcast(buffer, 0)
            every = standing({**cohort.networks, **(averages.networks if averages else {})})
            evaluated = {name: every[name] for name in stage.learners}
            at = replace(at, epoch=at.epoch + 1, step=0, seen=0, sums={})
            is_due = at.epoch % spec.validate_every == 0 or at.epoch == stage.phase_end
            scores = validate(evaluated) if is_due else {}
            folder.append_metrics(_rows(stage, at.epoch, losses, scores))
            _keep_weights(stage, cohort, evaluated, scores, at, checkpoints, monitor)
            for watcher in watchers:
                watcher.epoch(at.epoch, losses, scores)
            save()
            fabric.barrier()
            if total_of(fabric, torch.tensor(float(asked.count), device=fabric.device)).item():
                raise _interrupted(folder)
    return at


def _interrupted(folder: RunFolder) -> InterruptedRunError:
    return InterruptedRunError(f"stopped; a checkpoint is in {folder.path}. The same command again goes on from there.")


def _keep_weights(
    stage: Stage,
    cohort: Cohort,
    networks: Mapping[str, Network],
    scores: Mapping[str, Mapping[str, float]],
    at: StageProgress,
    checkpoints: Checkpoints,
    monitor: str,
) -> None:
    """Write what is to be kept of an epoch: snapshots, and of a validated one the best weights so far."""
    for name, network in networks.items():
        if at.epoch in stage.snapshots:
            checkpoints.save(checkpoints.weights(stage.clock, name, at.epoch), network.state_dict())
        if scores:
            of = scores[stage.members[name].kept_with or name]
            score = -of[KNOWLEDGE_LOSS] if stage.unlabelled else of[monitor]
            if _keep_best(stage, name, network, score, at, checkpoints) and stage.unlabelled:
                checkpoints.save(checkpoints.edges(stage.clock, name), losses_into(cohort, name).state_dict())


def _keep_best(
    stage: Stage, name: str, network: Network, score: float, at: StageProgress, checkpoints: Checkpoints
) -> bool:
    """Write the weights when they are the best so far of a network that still counts; whether they were."""
    patience = stage.training.patience
    waited = at.waited.get(name, 0)
    if patience and waited >= patience:
        return False
    if name not in at.best or score > at.best[name]:
        at.best[name], at.waited[name] = score, 0
        checkpoints.save(checkpoints.weights(stage.clock, name), network.state_dict())
        return True
    at.waited[name] = waited + 1
    return False


def _check_weights(cohort: Cohort, epoch: int) -> None:
    """The losses of an epoch are checked step by step; this checks what the last update left."""
    bad = [name for name, value in cohort.named_parameters() if not value.isfinite().all()]
    if bad:
        raise NonFiniteLossError(
            f"weights are no finite numbers after epoch {epoch}: {', '.join(bad[:3])}{' …' if len(bad) > 3 else ''}.\n"
            "The last good checkpoint is kept. Try a lower training.lr or training.max_grad_norm=1."
        )


def _is_finished(at: StageProgress, stage: Stage) -> bool:
    """All epochs are done, or the weights of every network are settled."""
    patience = stage.training.patience
    is_settled = patience is not None and all(at.waited.get(name, 0) >= patience for name in stage.learners)
    return is_settled or at.epoch >= stage.last_epoch


def _restore(stage: Stage, checkpoints: Checkpoints, parts: Mapping[str, Stateful]) -> StageProgress:
    """Load the stage's own checkpoint, else that of the stage that it continues, else start anew."""
    path = checkpoints.last(stage.name)
    has_own = path.exists()
    if not has_own:
        checkpoints.folder.cut_metrics()  # of an earlier start that did not reach its first checkpoint
        if not stage.continues or not (path := checkpoints.last(stage.continues)).exists():
            return StageProgress(epoch=stage.first_epoch)
    saved = checkpoints.load(path)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    at = StageProgress(**saved["at"])
    if has_own:
        checkpoints.folder.resume_metrics(at.metrics, at.metrics_sha256)
        if not _is_finished(at, stage):
            checkpoints.folder.cut_metrics()
    return at


def _rows(
    stage: Stage, epoch: int, losses: Mapping[str, float], scores: Mapping[str, Mapping[str, float]]
) -> list[tuple[str, int, str, str, str, float]]:
    rows = []
    for name, value in losses.items():
        network = name.split("/")[0].split("->")[-1]
        rows.append((stage.name, epoch, network, "train", f"loss:{name}", value))
    for network, metrics in scores.items():
        rows += [(stage.name, epoch, network, "validation", metric, value) for metric, value in metrics.items()]
    return rows

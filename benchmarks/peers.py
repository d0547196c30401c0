"""preceptor against its peers on the same work: seconds of a training step, in turn, on this machine.

Peers are torchdistill (its DistillationBox or TrainingBox) and timm (its LogitDistillationTask, for classifiers), each
set up as its documentation shows, and a plain loop in torch. All of them start from the same weights, take the same
batches, held in memory and for the peers already normalised, compute the same loss (the first one is compared) and use
Adam at 1e-4; the teacher is in eval mode. Peers compute in float32. preceptor trains with its own loop,
`placement: measured`, once in float32 and once with bf16 allowed, with the teacher computed and with its outputs read.

Contestants are timed in rounds, one after the other in each; peers in a process of their own, for preceptor changes how
its process gets memory. Printed: medians and quartiles over the rounds of a
step's median, and of the ratio to the faster of torchdistill and timm in the same round.

    python benchmarks/peers.py [--rounds 5] [--cells r50-r18-8 …] [--threads 2]

Needs the extra `peers`, or --peers with those that are installed.
"""

import argparse
import importlib.metadata
import logging
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric

from held import Held
from peer_loops import ALPHA, CPU, LR, PEERS, TEMPERATURE, gaps, missing
from peer_setup import peers_of
from preceptor.cohort.cohort import Cohort
from preceptor.cohort.frozen import FixedSize, FrozenOutputs
from preceptor.data.batches import Batch
from preceptor.data.prepare import prepare
from preceptor.machine.fabric import make_fabric
from preceptor.machine.placement import largest_batch_group
from preceptor.recipe import Recipe, parse_recipe
from preceptor.teacher_cache.facts import arithmetic_facts, network_facts
from preceptor.teacher_cache.folder import CacheEntry
from preceptor.teacher_cache.replay import Replay
from preceptor.training.fit import train_stage
from preceptor.training.run import run_of
from timing import Stamps, spread


@dataclass(frozen=True)
class Cell:
    """One piece of work; ``steps`` are timed in each round, a multiple of those that ask the teacher at once."""

    title: str
    teacher: dict[str, Any]
    student: dict[str, Any]
    size: int
    batch: int
    steps: int
    task: str = "classification"
    technique: Mapping[str, Any] = field(default_factory=lambda: {"name": "kd_offline", "strategy": "predictions"})
    count: int = 1
    batches: int = 32  # of phantom images, which tell how long an epoch is
    longest: int = 2**10  # steps of an epoch, from which is told how many batches the teacher is asked about at most

    @property
    def warm_up(self) -> int:
        """Steps that are not timed: as many as ask the teacher at once."""
        return largest_batch_group(self.batch, (self.size, self.size), self.longest, "cpu")


def new(architecture: str, encoder: str | None = None) -> dict[str, Any]:
    return {"architecture": architecture, "encoder": encoder, "weights": "none"}


R50, R18 = new("resnet50"), new("resnet18")
CELLS = {
    "r50-r18-8": Cell("offline KD, ResNet-50 to ResNet-18, 96 px, batch 8", R50, R18, 96, 8, 4),
    "r50-r18-32": Cell("offline KD, ResNet-50 to ResNet-18, 96 px, batch 32", R50, R18, 96, 32, 2),
    "kd-ml-8": Cell(
        "KD+ML (diverse), ResNet-50 and two ResNet-18, 96 px, batch 8",
        R50,
        R18,
        96,
        8,
        4,
        technique={"name": "kd_ml", "strategy": "diverse"},
        count=2,
    ),
    "unet-4": Cell(
        "offline KD, U-Net with ResNet-50 to ResNet-18, 256 px, batch 4",
        new("unet", "resnet50"),
        new("unet", "resnet18"),
        256,
        4,
        1,
        task="segmentation",
    ),
    "mixnet-8": Cell("offline KD, MixNet-L to MixNet-S, 112 px, batch 8", new("mixnet_l"), new("mixnet_s"), 112, 8, 4),
}


class Contestant(Protocol):
    """Whoever trains."""

    def loss(self, batch: Batch) -> float:
        """Of a batch, before training."""

    def times(self, batches: list[Batch]) -> list[float]:
        """Seconds of each step but those that warm up."""


# preceptor ------------------------------------------------------------------------------------------------------------


class Ours:
    """What ``preceptor train`` does with a recipe, but for the batches and for writing."""

    def __init__(self, cell: Cell, folder: Path, precision: str, fabric: Fabric) -> None:
        self.recipe, self.warm_up = recipe_of(cell, folder, precision), cell.warm_up
        self.prepared = prepare(self.recipe)
        self.run = run_of(self.recipe, self.prepared, fabric, folder / "run")
        self.stage = next(stage for stage in self.run.plan.stages if stage.name == "main")
        self.cohort: Cohort = self.run.builder.cohort(self.stage, starts=False)
        self.batch_group = self.cohort.batch_groups.get("T", 1)
        self.live = FixedSize(cell.batch, batch_groups=self.cohort.batch_groups)
        self.words = "; ".join(
            note.removeprefix("main: ") for note in self.run.builder.notes.kept if "is computed" in note
        )

    def held(self, batches: list[Batch]) -> Held:
        """The batches; those about which the teacher is asked at once lie together."""
        return Held(self.prepared.packed, batches, self.batch_group)

    def reading(self, batches: list[Batch], root: Path) -> Replay:
        """What the teacher says of ``batches``, computed once and then read."""
        teacher, precision = self.cohort.frozen["T"], self.cohort.computing.precision_of("T")
        folded = "T" in self.cohort.computing.folded
        arithmetic = arithmetic_facts(
            CPU, batch=self.live.size("T"), precision=precision, channels_last=False, folded=folded
        )
        facts = {"network": network_facts(teacher), "pixels": {}, "arithmetic": arithmetic, "dtype": "float32"}
        replay = Replay(self.live, lambda line: None, budget=1e12)
        rows = sum(len(batch.rows) for batch in batches)
        replay.add("T", teacher, CacheEntry(root, facts, "T", ""), keys=np.arange(rows).astype("S16"), images=rows)
        replay.plan([0])
        self.cohort.frozen_outputs = replay
        with torch.no_grad():
            for epoch in (1, 2):
                for batch in self.held(batches).batches:
                    self.cohort(batch, epoch, 0)
        return replay


@dataclass
class Placement:
    """One way in which preceptor asks its teacher."""

    ours: Ours
    ask: FrozenOutputs

    def loss(self, batch: Batch) -> float:
        self.ours.cohort.frozen_outputs = self.ask
        self.ours.cohort.train()
        with torch.no_grad():
            return torch.stack(tuple(self.ours.cohort(batch, 1, 0).values())).sum().item()

    def times(self, batches: list[Batch]) -> list[float]:
        ours, stamps = self.ours, Stamps()
        ours.cohort.frozen_outputs = self.ask
        train_stage(
            ours.run.fabric,
            replace(ours.stage, name=f"main{time.perf_counter_ns()}"),
            ours.cohort,
            ours.held(batches),
            lambda networks: {name: {ours.recipe.monitor: 0.0} for name in networks},
            ours.run.builder.checkpoints.folder,
            monitor=ours.recipe.monitor,
            seed=0,
            watchers=[stamps],
        )
        return gaps(stamps.at)[self.ours.warm_up - 1 :]


def recipe_of(cell: Cell, folder: Path, precision: str) -> Recipe:
    """The cell as a user would write it; its phantom images only stand in for the batches."""
    options = {"task": cell.task, "size": cell.size, "images": cell.batches * cell.batch, "patients": 8}
    if cell.task == "classification":
        options["classes"] = 4
    return parse_recipe(
        {
            "task": cell.task,
            "data": {"source": "phantom", "options": options, "image_size": cell.size, "cache": str(folder / "packed")},
            "networks": {"teacher": cell.teacher, "student": cell.student, "count": cell.count},
            "technique": {**cell.technique, "temperature": TEMPERATURE, "alpha": ALPHA},
            "training": {
                "epochs": 1,
                "batch_size": cell.batch,
                "lr": LR,
                "precision": precision,
                "placement": "measured",
                "teacher_cache": {"enabled": False},
            },
        }
    )


# the contest ----------------------------------------------------------------------------------------------------------


def peers(
    wanted: Sequence[str], cell: Cell, batches: list[Batch], folder: Path
) -> tuple[dict[str, Contestant], list[str]]:
    networks = Ours(cell, folder, "32-true", Fabric(accelerator="cpu", devices=1)).cohort.networks
    online, masks = cell.technique["name"] == "kd_ml", cell.task == "segmentation"
    return dict(peers_of(networks, online=online, masks=masks, wanted=wanted)), []


def preceptors(cell: Cell, batches: list[Batch], folder: Path) -> tuple[dict[str, Contestant], list[str]]:
    """preceptor's ways, and how it placed its networks."""
    found: dict[str, Contestant] = {}
    notes = []
    for precision, name in (("32-true", "preceptor float32"), ("bf16-mixed", "preceptor bf16")):
        ours = Ours(cell, folder, precision, make_fabric("cpu"))
        found[name] = Placement(ours, ours.live)
        if ours.cohort.frozen:
            found[f"{name}, teacher read"] = Placement(ours, ours.reading(batches, folder / precision))
        notes.append(f"{name}: {ours.words}")
    return found, notes


class Corner:
    """Contestants in a process of their own."""

    def __init__(self, make: Callable[..., Any], cell: Cell, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, make, cell, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.losses: dict[str, float]
        self.notes: list[str]
        self.losses, self.notes = self.pipe.recv()

    def seconds(self, name: str) -> float:
        """Of a step, on average."""
        self.pipe.send(name)
        found: float = self.pipe.recv()
        return found

    def close(self) -> None:
        self.pipe.close()
        self.process.join()


def serve(pipe: Connection, make: Callable[..., Any], cell: Cell, threads: int) -> None:
    torch.set_num_threads(threads)
    logging.disable(logging.INFO)  # the peers tell what they set up
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PRECEPTOR_CACHE"] = folder  # placements are measured anew
        batches = made_up(cell)
        found, notes = make(cell, batches, Path(folder))
        pipe.send(({name: contestant.loss(batches[0]) for name, contestant in found.items()}, notes))
        for contestant in found.values():
            contestant.times(batches)
        with suppress(EOFError):
            while True:
                pipe.send(statistics.fmean(found[pipe.recv()].times(batches)))


def check_losses(losses: Mapping[str, float]) -> None:
    """All compute the same, up to rounding; half precision rounds more."""
    exact = {name: loss for name, loss in losses.items() if "bf16" not in name}
    if max(exact.values()) - min(exact.values()) > 1e-3 * abs(max(exact.values())):
        raise SystemExit(f"they do not do the same work: {exact}")


def made_up(cell: Cell) -> list[Batch]:
    generator, found = torch.Generator().manual_seed(0), []
    for step in range(cell.warm_up + cell.steps):
        rows = torch.arange(cell.batch) + step * cell.batch
        images = torch.rand(cell.batch, 3, cell.size, cell.size, generator=generator)
        targets = rows % 4 if cell.task == "classification" else (images[:, 0] > 0.5).long()
        found.append(Batch(images=images, targets=targets, positions=rows, rows=rows, whole=cell.batch))
    return found


def contest(cell: Cell, wanted: Sequence[str], rounds: int, threads: int) -> None:
    print(f"\n{cell.title}", flush=True)
    corners = [Corner(make, cell, threads) for make in (partial(peers, wanted), preceptors)]
    check_losses({name: loss for corner in corners for name, loss in corner.losses.items()})
    taken: dict[str, list[float]] = {name: [] for corner in corners for name in corner.losses}
    for _ in range(rounds):
        for corner in corners:
            for name in corner.losses:
                taken[name].append(corner.seconds(name))
    libraries: list[str] = [name for name in ("torchdistill", "timm") if name in taken] or ["plain loop"]
    faster = min(libraries, key=lambda name: statistics.median(taken[name]))
    for name, seconds in taken.items():
        ratios = [peer / own for peer, own in zip(taken[faster], seconds, strict=True)]
        print(f"  {name:<32} {spread(seconds, ' ms', 1e3):<26} ratio to {faster} {spread(ratios, digits=2)}")
    for corner in corners:
        corner.close()
        print("".join(f"  {note}\n" for note in corner.notes), end="", flush=True)


def tiny(cell: Cell) -> Cell:
    """The same work with networks, images and batches that show whether it can be done, and no more."""
    cell = replace(cell, steps=1, batches=4, longest=2)
    if cell.task == "segmentation":
        network = new("unet", "resnet18")
        return replace(cell, teacher=network, student=network, size=64)
    # Offline peers get images that are normalised once: for a teacher of the student's family.
    teacher, student = new("resnet10t" if cell.count > 1 else "test_resnet"), new("test_resnet")
    return replace(cell, teacher=teacher, student=student, batch=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="the plain loop is always there")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tiny", action="store_true", help="the smallest of everything: only to see that it runs")
    given = parser.parse_args()
    if absent := missing(given.peers):
        raise SystemExit(
            f"not installed: {', '.join(absent)}. Take the extra `peers` (pip install 'preceptor[peers]'), or name "
            "with --peers those that are there."
        )
    wanted = [name for name in PEERS if name in given.peers or name == "plain loop"]
    packages = ("torch", *(name for name in ("timm", "torchdistill") if name in wanted))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(f"{versions}; {given.threads} threads; {given.rounds} rounds", flush=True)
    for name in given.cells:
        contest(tiny(CELLS[name]) if given.tiny else CELLS[name], wanted, given.rounds, given.threads)


if __name__ == "__main__":
    main()

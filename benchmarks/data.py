"""Images per second of the data path, against torchvision's ImageFolder and torch's DataLoader.

    python benchmarks/data.py [--images 2000] [--rounds 7] [--student resnet18]

Both sides have two workers and read the same phantom tissue, the DataLoader as PNG files, preceptor as a
packed set, and end with normalised float32 batches; torch computes with one thread per worker. Rounds
alternate between the two sides, so that whatever else the machine does hits both; ratios are of
neighbouring rounds. Then a student is trained by preceptor's loop, with the default of one worker and both kinds of
changes: printed is the share of the time of its steps for which it waits for data.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from plain_cells import MEAN, STD, folder_loader
from preceptor.data.batches import Batches
from preceptor.data.loading import Loading
from preceptor.data.order import SampleOrder
from preceptor.data.prepare import prepare
from preceptor.data.samples import SampleTable
from preceptor.data.sources.phantom import NAMES, phantom
from preceptor.data.store import pack
from preceptor.machine.fabric import make_fabric
from preceptor.recipe import parse_recipe
from preceptor.specs import AugmentSpec
from preceptor.training.fit import train_stage
from preceptor.training.run import run_of

SIDE, BATCH = 96, 32
KINDS = {
    "flips, transpose": AugmentSpec(transpose=True),
    "flips, transpose, rotation, shift, scale": AugmentSpec(transpose=True, rotate=30, shift=0.1, scale=0.1),
}


def folder_epochs(folder: Path, *, affine: bool) -> Callable[[int], Iterator[Tensor]]:
    loader = folder_loader(folder, BATCH, affine=affine)
    return lambda view: (images for images, _ in loader)


ORDER = SampleOrder(shuffle=True, drop_last=True)


def packed_epochs(table: SampleTable, folder: Path, augment: AugmentSpec) -> Callable[[int], Iterator[Tensor]]:
    packed = pack(table, size=(SIDE, SIDE), folder=folder)
    rows = np.arange(len(packed))
    batches = Batches(packed, rows, batch_size=BATCH, order=ORDER, augment=augment, loading=Loading(workers=2))
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return lambda view: (batch.images.sub_(mean).div_(std) for batch in batches.epoch(view))


def rate(epoch: Iterator[Tensor]) -> float:
    """Images per second of one epoch."""
    start, count = time.perf_counter(), 0
    for images in epoch:
        count += len(images)
    return count / (time.perf_counter() - start)


def spread(values: list[float], form: str) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def compare(table: SampleTable, folder: Path, rounds: int) -> None:
    for row in range(len(table)):
        place = folder / "png" / NAMES[row % len(NAMES)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(table.read(row)[0]).save(place / f"{row}.png")
    print(f"{len(table)} images of {SIDE} px, batch {BATCH}, two workers each; median (quartiles)")
    for name, spec in KINDS.items():
        theirs, ours = folder_epochs(folder / "png", affine=spec.rotate > 0), packed_epochs(table, folder, spec)
        rates = []
        for view in range(rounds + 1):
            rates.append((rate(theirs(view)), rate(ours(view))))
        loader, packed = (list(side) for side in zip(*rates[1:], strict=True))  # the first round warms up
        ratios = [b / a for a, b in zip(loader, packed, strict=True)]
        print(f"{name}:")
        print(f"  ImageFolder + DataLoader  {spread(loader, '9.0f')} images/s")
        print(f"  packed set + Batches      {spread(packed, '9.0f')} images/s")
        print(f"  ratio                     {spread(ratios, '9.1f')}", flush=True)


class Waits:
    """A watcher that adds up the time of the steps and what of it was waiting; the first step warms up."""

    def __init__(self) -> None:
        self.waited, self._began, self._now = 0.0, 0.0, 0.0

    def stage(self, *what: object) -> None: ...
    def epoch(self, *what: object) -> None: ...
    def step(self, epoch: int, step: int, images: int, waited: float) -> None:
        self._now = time.perf_counter()
        if self._began:
            self.waited += waited
        else:
            self._began = self._now

    @property
    def share(self) -> float:
        return self.waited / (self._now - self._began)


def waiting(student: str, images: int, threads: int, folder: Path, rounds: int) -> None:
    """Share of the time of training for which it waits for batches, an epoch a round."""
    torch.set_num_threads(threads)
    print(f"{student} trains on {images} images of {SIDE} px, batch {BATCH}, {threads} threads and one worker")
    for name, spec in KINDS.items():
        recipe = parse_recipe(
            {
                "task": "classification",
                "data": {
                    "source": "phantom",
                    "options": {"size": SIDE, "images": images},
                    "image_size": SIDE,
                    "cache": str(folder),
                },
                "augment": spec.model_dump(),
                "networks": {"student": {"architecture": student, "weights": "none"}, "count": 1},
                "technique": {"name": "baseline"},
                "training": {"epochs": 1, "batch_size": BATCH, "drop_last": True},
            }
        )
        run = run_of(recipe, prepare(recipe), make_fabric("cpu"), folder / "run")
        cohort = run.builder.cohort(run.plan.stages[0])
        shares = []
        for number in range(rounds):
            waits = Waits()
            stage = replace(run.plan.stages[0], name=f"main{number}", first_epoch=number)
            train_stage(
                run.fabric,
                stage,
                cohort,
                run.builder.batches(stage, cohort),
                lambda networks: {name: {"accuracy": 0.0} for name in networks},
                run.builder.checkpoints.folder,
                monitor="accuracy",
                seed=0,
                watchers=[waits],
            )
            shares.append(100 * waits.share)
        print(f"  {name}: waits for data for {spread(shares, '.2f')} % of the time", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--student", default="resnet18")
    parser.add_argument("--threads", type=int, default=2, help="that train the student")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(phantom(images=options.images, size=SIDE), folder, options.rounds)
        waiting(options.student, options.images, options.threads, folder, min(options.rounds, 3))


if __name__ == "__main__":
    main()

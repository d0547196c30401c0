"""A study as preceptor runs it, against the same runs done apart by a plain loop: the clock, and what was counted.

Two parts of a study with one teacher and two students, phantom images and a prepared (here: random) offline teacher:

    offline   the three offline cells (kd_offline: predictions, features, diverse) with three seeds
    all       all twelve cells of one seed (ml, kd_offline, kd_online, kd_ml, with every strategy)

preceptor trains the cells of a seed as one cohort (``together: true``), with `placement: measured` and the teacher
cache, once with bf16 allowed and once in float32. All seeds see the same versions of the images (``augment.seed``), so
that the teacher's answers are computed once for all. ``computed`` are steps of which the first seed's show a view for
the first time, so that the offline teacher is computed and what it says is kept; ``read`` are those that show it again.
``mixed`` is what `epochs` with `views` shown in turn cost, as their mean: views / epochs of the steps compute, the
others read.
The plain loops (plain_cells.py) have the same networks, weights, losses and augmentation, float32 and default Adam,
with images from PNG files by ImageFolder and DataLoader(num_workers=2), or with ``--data packed`` from preceptor's
batches. Both wait for their data; neither validates nor writes checkpoints.

Rounds are interleaved. Printed: seconds of one step of every run, medians with quartiles over the rounds, and ratios
within rounds. Before the clock starts, the first losses are compared, and two epochs that show one view are counted:
images that the offline teachers answered for, updates of online teachers, images that were read and augmented. Where
preceptor does more than must be, the script says so and exits with 1.

    python benchmarks/study.py [--batch 8] [--rounds 5] [--parts offline all] [--data png]
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any, cast
from unittest import mock

import torch
from PIL import Image
from rich.console import Console
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from plain_cells import ALPHA, LR, MEAN, STD, TEMPERATURE, PlainCell, folder_loader, normalised
from preceptor.cohort.frozen import FixedSize
from preceptor.data import augment as augment_module
from preceptor.data import loading as loading_module
from preceptor.data.prepare import Prepared, prepare
from preceptor.machine.fabric import make_fabric
from preceptor.machine.placement import largest_batch_group
from preceptor.networks.classifier import Classifier
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.plan.merge import merge, unshared
from preceptor.plan.stage import Plan
from preceptor.recipe import Recipe, parse_recipe
from preceptor.teacher_cache.of_stage import frozen_of
from preceptor.training.build import builder_for
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.fit import train_stage
from preceptor.training.notes import Notes
from preceptor.training.planning import settled_plan, workshop_of
from preceptor.training.run import TrainingRun
from preceptor.training.run_folder import folder_for
from timing import Stamps, spread

STRATEGIES = ("predictions", "features", "diverse")
OFFLINE = tuple(product(("kd_offline",), STRATEGIES))
ALL = tuple(product(("ml", "kd_offline", "kd_online", "kd_ml"), STRATEGIES))
PARTS = {"offline": (OFFLINE, (0, 1, 2)), "all": (ALL, (0,))}
CLASSES = 4
PRECISIONS = {"bf16": "bf16-mixed", "float32": "32-true"}


@dataclass(frozen=True)
class Setting:
    """What is the same for everybody."""

    teacher: str
    student: str
    size: int
    batch: int
    steps: int
    folder: Path
    cache: Path
    longest: int

    @property
    def warm_up(self) -> int:
        """Steps that are not timed: as many as ask the offline teacher at once."""
        return largest_batch_group(self.batch, (self.size, self.size), self.longest, "cpu")

    def recipe(self, technique: str, strategy: str, seed: int, precision: str) -> Recipe:
        """One cell as a study writes it, with one view that is shown again and again."""
        images = -(-4 * self.batch * (self.warm_up + self.steps) // 3)  # 3/4 of them are for training
        patients = 8
        images = -(-images // (CLASSES * patients)) * CLASSES * patients
        prepared = {"teacher": str(self.folder / "teacher")} if technique == "kd_offline" else {}
        return parse_recipe(
            {
                "task": "classification",
                "seed": seed,
                "data": {
                    "source": "phantom",
                    "options": {"size": self.size, "images": images, "patients": patients, "classes": CLASSES},
                    "image_size": self.size,
                    "cache": str(self.cache),
                },
                "split": {"seed": 0},
                "augment": {"transpose": True, "seed": 0},
                "networks": {"teacher": _new(self.teacher), "student": _new(self.student), "count": 2},
                "technique": {
                    "name": technique,
                    "strategy": strategy,
                    "alpha": ALPHA,
                    "temperature": TEMPERATURE,
                    **({} if technique == "ml" else {"adapter": "always"}),
                    **prepared,
                },
                "training": {
                    "epochs": 1,
                    "batch_size": self.batch,
                    "lr": LR,
                    "drop_last": True,
                    "precision": precision,
                    "placement": "measured",
                },
            }
        )

    def save_teacher(self) -> None:
        """A frozen teacher: its numbers are random, its arithmetic is that of a trained one."""
        recipe = self.recipe("kd_online", "features", 0, "32-true")
        workshop = workshop_of(recipe, prepare(recipe))
        workshop.network(recipe.plan().stages[0].members["T"].network).save(self.folder / "teacher")


def _new(architecture: str) -> dict[str, Any]:
    return {"architecture": architecture, "weights": "none", "mean": MEAN, "std": STD}


class Ours:
    """All cells of a seed as one cohort, trained by preceptor's loop."""

    def __init__(self, setting: Setting, cells: Sequence[tuple[str, str]], seed: int, precision: str) -> None:
        recipes = [setting.recipe(*cell, seed, precision) for cell in cells]
        self.cells, self.warm_up = cells, setting.warm_up
        self.prepared: Prepared = prepare(recipes[0])
        workshop = workshop_of(recipes[0], self.prepared)
        self.merged = merge([settled_plan(recipe, workshop) for recipe in recipes])
        self.stage = replace(self.merged.stage, phase="main")
        plan = Plan(stages=(self.stage,), students=tuple(self.stage.members))
        nowhere = folder_for(setting.folder / "run", recipes[0], writes=False)
        quiet = Console(quiet=True)
        builder = builder_for(
            recipes[0], self.prepared, make_fabric("cpu"), Checkpoints(nowhere), Notes(quiet), workshop
        )
        self.run = TrainingRun(builder, plan, quiet)
        self.cohort = self.run.builder.cohort(self.stage)
        self.batches = self.run.builder.batches(self.stage, self.cohort)

    def train(self, view: int) -> list[float]:
        """Seconds of the steps of an epoch that shows ``view``, but of those that warm up."""
        recipe, stamps = self.run.recipe, Stamps()
        stage = replace(self.stage, name=f"main{time.perf_counter_ns()}", first_epoch=view)
        with frozen_of(recipe, stage, self.cohort, self.batches, self.run.fabric, lambda line: None) as ask:
            self.cohort.frozen_outputs = ask
            train_stage(
                self.run.fabric,
                stage,
                self.cohort,
                self.batches,
                lambda networks: {name: {recipe.monitor: 0.0} for name in networks},
                self.run.builder.checkpoints.folder,
                monitor=recipe.monitor,
                seed=recipe.seed,
                watchers=[stamps],
            )
        for parameter in self.cohort.parameters():
            parameter.grad = None
        return [after - before for before, after in pairwise(stamps.at)][self.warm_up - 1 :]

    def plain(self, number: int) -> PlainCell:
        """The same cell by hand, from the present weights."""
        named, networks = self.merged.names[number], self.cohort.networks
        return PlainCell(*self.cells[number], {n: cast(Classifier, networks[there]) for n, there in named.items()})

    def check_losses(self, tolerance: float) -> None:
        """Everybody computes the same, up to rounding."""
        batch = next(self.batches.epoch(0))
        self.cohort.train()
        with torch.no_grad():
            ours = torch.stack(tuple(self.cohort(batch, 1, 0).values())).sum().item()
            found = [
                self.plain(number).losses(normalised(batch.images), batch.targets) for number in range(len(self.cells))
            ]
        students = sum(of_students.item() for of_students, _ in found)
        teachers = {round(of_teacher.item(), 3): of_teacher.item() for _, of_teacher in found if of_teacher}
        plain = students + sum(teachers.values())
        if abs(ours - plain) > tolerance * abs(plain) or len(teachers) > 1:
            raise SystemExit(f"they do not do the same work: {ours} and {plain}, online teachers {teachers}")

    def placed(self) -> str:
        """How its networks are computed."""
        notes = (note.removeprefix("main: ") for note in self.run.builder.notes.kept if "is computed" in note)
        return "; ".join(dict.fromkeys(notes))


# counting -------------------------------------------------------------------------------------------------------------


@dataclass
class Counts:
    """What was done.

    Args:
        offline: images that offline teachers were shown.
        online: updates of online teachers.
        images: that were read and augmented.
    """

    offline: int = 0
    online: int = 0
    images: int = 0


@contextmanager
def counting(ours: Ours) -> Iterator[tuple[Counts, Counter[tuple[str, bytes]]]]:
    """Counts what happens meanwhile, and how often each offline teacher is shown each picture."""
    counts, shown = Counts(), Counter[tuple[str, bytes]]()
    networks = ours.cohort.networks
    online = {  # by where their first weights lie: the optimiser may have views of them
        next(network.parameters()).data_ptr()
        for name, network in networks.items()
        if unshared(name) == "T" and not network.is_frozen
    }

    def updated(optimizer: torch.optim.Optimizer, *given: Any) -> None:
        counts.online += sum(p.data_ptr() in online for group in optimizer.param_groups for p in group["params"])

    def computed(ask: FixedSize, name: str, network: Network, images: Tensor) -> Outputs:
        counts.offline += len(images)
        shown.update((name, image.contiguous().numpy().tobytes()) for image in images)
        return compute(ask, name, network, images)

    def augmented(images: Tensor, *given: Any, **more: Any) -> Any:
        counts.images += len(images)
        return augment(images, *given, **more)

    compute, augment = FixedSize.compute, augment_module.augment
    handle = register_optimizer_step_post_hook(updated)
    with mock.patch.object(FixedSize, "compute", computed), mock.patch.object(loading_module, "augment", augmented):
        yield counts, shown
    handle.remove()


def count(seeds: Sequence[Ours], folder: Path, batch: int) -> bool:
    """Count two epochs that show one view, on both sides; whether ours did no more than must be."""
    ours, plain, least, asked = Counts(), Counts(), Counts(), 0
    every = Counter[tuple[str, bytes]]()
    answers = set()  # each teacher, sample and view once, for all seeds
    for one in seeds:
        with counting(one) as (found, shown):
            one.train(0)
            one.train(0)
        asked += found.offline
        every += shown
        ours = Counts(len(every), ours.online + found.online, ours.images + found.images)
        epoch = len(one.batches) * batch
        answers |= {row for shown in one.batches.epoch(0) if one.cohort.frozen for row in shown.rows.tolist()}
        least.online += 2 * len(one.batches) * any(name == "kd_online" for name, _ in one.cells)
        least.images += 2 * epoch
        for number in range(len(one.cells)):
            cell, loader = one.plain(number), folder_loader(folder, batch, workers=0)
            for _ in range(2):
                cell.times(loader)
            plain.offline += cell.offline_images
            plain.online += cell.online_updates
            plain.images += loader.dataset.decoded  # type: ignore[attr-defined]
            del cell
    least.offline, checks = len(answers), asked - len(every)
    print("  counted in two epochs, one view        preceptor   least possible   plain loops")
    names = {
        "offline": "offline teacher, images",
        "online": "online teacher, updates",
        "images": "images read, augmented",
    }
    for field, words in names.items():
        print(f"  {words:<36} {getattr(ours, field):>10} {getattr(least, field):>16} {getattr(plain, field):>13}")
    allowed = 2 * batch * seeds[0].warm_up * sum(bool(one.cohort.frozen) for one in seeds)
    print(f"  images shown again to check what is kept (once per teacher, data and stage): {checks} of {allowed}")
    is_least = ours == least and checks <= allowed
    if not is_least:
        print("  NOT THE LEAST POSSIBLE")
    return is_least


# the clock ------------------------------------------------------------------------------------------------------------


def write_pngs(prepared: Prepared, folder: Path) -> None:
    """The training images as an ImageFolder."""
    rows = prepared.rows["train"]
    images, labels = prepared.packed.read(rows)[0], prepared.labels(rows)
    assert labels is not None
    for row, image, label in zip(rows.tolist(), images, labels.tolist(), strict=True):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row}.png")


def plain_seconds(seeds: Sequence[Ours], loader: Any, view: int) -> float:
    """Seconds of one step of every run, one run after the other."""
    total = 0.0
    for one in seeds:
        for number in range(len(one.cells)):
            cell = one.plain(number)
            loaded = loader or ((normalised(batch.images), batch.targets) for batch in one.batches.epoch(view))
            total += statistics.mean(cell.times(loaded))
            del cell
            gc.collect()
    return total


def contest(part: str, setting: Setting, given: argparse.Namespace) -> bool:
    """One part; whether what was counted is the least possible."""
    cells, numbers = PARTS[part]
    setting = replace(setting, cache=setting.folder / part)  # nothing is kept yet
    print(f"\n{part}: {len(cells)} cells, {len(numbers)} seeds, {setting.teacher} to two {setting.student}, "
          f"{setting.size} px, batch {setting.batch}", flush=True)  # fmt: skip
    sides = {name: [Ours(setting, cells, seed, precision) for seed in numbers]
             for name, precision in PRECISIONS.items() if name in given.precisions}  # fmt: skip
    first = next(iter(sides.values()))
    folder = setting.folder / f"png-{part}"
    write_pngs(first[0].prepared, folder)
    for name, seeds in sides.items():
        for one in seeds:
            one.check_losses(1e-3 if name == "float32" else 3e-2)
    is_least = count(first, folder, setting.batch)
    loader = folder_loader(folder, setting.batch) if given.data == "png" else None
    plain: list[float] = []
    taken: dict[tuple[str, str], list[float]] = {(n, how): [] for n in sides for how in ("computed", "read", "mixed")}
    for view in range(1, given.rounds + 1):
        plain.append(plain_seconds(first, loader, view))
        for name, seeds in sides.items():
            passes = [(one.train(view), one.train(view)) for one in seeds]
            computed, read = (sum(statistics.mean(one[k]) for one in passes) for k in (0, 1))
            share = given.views / given.epochs
            for how, seconds in (
                ("computed", computed),
                ("read", read),
                ("mixed", share * computed + (1 - share) * read),
            ):
                taken[name, how].append(seconds)
    print(f"  {'plain loops, ' + given.data:<34} {spread(plain, ' ms', 1e3)}")
    for (name, how), seconds in taken.items():
        ratios = [other / own for other, own in zip(plain, seconds, strict=True)]
        words = f"{given.views} of {given.epochs} views" if how == "mixed" else how
        print(
            f"  {f'preceptor {name}, {words}':<34} {spread(seconds, ' ms', 1e3):<26} ratio {spread(ratios, digits=2)}"
        )
    for name, seeds in sides.items():
        print(f"  {name}: {seeds[0].placed()}", flush=True)
    return is_least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="timed in each epoch of a round")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--teacher", default="resnet50")
    parser.add_argument("--student", default="resnet18")
    parser.add_argument("--data", choices=("png", "packed"), default="png", help="of the plain loops")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--views", type=int, default=8, help="of `mixed`: views that are shown in turn")
    parser.add_argument("--epochs", type=int, default=20, help="of `mixed`")
    parser.add_argument(
        "--longest", type=int, default=2**10, help="an epoch for which groups of batches are sized; less warms up less"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"torch {torch.__version__}; {given.threads} threads; {given.rounds} rounds", flush=True)
    all_least = True
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PRECEPTOR_CACHE"] = folder  # placements are measured anew
        place = Path(folder)
        sizes = (given.size, given.batch, given.steps)
        setting = Setting(given.teacher, given.student, *sizes, place, place / "cache", given.longest)
        setting.save_teacher()
        for part in given.parts:
            all_least &= contest(part, setting, given)
            gc.collect()
    sys.exit(not all_least)


if __name__ == "__main__":
    main()

"""What the teacher cache saves: offline distillation with the teacher computed and with its outputs read, in turn.

Both do the same mathematics on the same batches, held in memory, with the loop's own cohort, backward pass and
optimiser; what is read lies on disk, in the page cache as after a first epoch. Printed: medians and quartiles of a
step, the median of the paired ratios, and how long reading alone takes.

With ``--stored`` instead: steps of ``technique: distil_features`` on real patches with all that belongs to them, the
teacher (ViT-S, random weights) live and read from a folder that ``preceptor embed`` has made, in turn.

    OMP_NUM_THREADS=1 python benchmarks/cache.py [--rounds 5] [--precision bf16-mixed]
    OMP_NUM_THREADS=1 python benchmarks/cache.py --stored [--rounds 5]
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from preceptor.bench.steps import Steps
from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.computing import HowComputed
from preceptor.cohort.frozen import FixedSize, FrozenOutputs
from preceptor.cohort.transfer import Transfer
from preceptor.data.batches import Batch
from preceptor.data.images import FileReader
from preceptor.data.prepare import prepare
from preceptor.data.sources import open_source
from preceptor.data.subsets import drawn
from preceptor.deploy.embed import embed_images
from preceptor.deploy.wanted import Wanted
from preceptor.knowledge.catalogue import entry_for, load
from preceptor.knowledge.task_loss import ClassificationLoss, MaskLoss
from preceptor.machine.fabric import make_fabric
from preceptor.networks.build import build_network
from preceptor.recipe import Recipe, parse_recipe
from preceptor.specs import NetworkSpec, Task, TrainingSpec
from preceptor.teacher_cache.facts import arithmetic_facts, network_facts
from preceptor.teacher_cache.folder import CacheEntry
from preceptor.teacher_cache.replay import Replay
from preceptor.training.optim import Group, make_optimizer
from preceptor.training.run import run_of
from timing import spread


@dataclass(frozen=True)
class Case:
    name: str
    task: Task
    teacher: NetworkSpec
    student: NetworkSpec
    size: int
    batch: int
    steps: int
    losses: tuple[str, ...] = ("kd",)


def spec(architecture: str, encoder: str | None = None) -> NetworkSpec:
    return NetworkSpec(architecture=architecture, encoder=encoder, weights="none")


R50, R18 = spec("resnet50"), spec("resnet18")
UNET_R34, UNET_R18 = spec("unet", "resnet34"), spec("unet", "resnet18")
CASES = (
    Case("R50 to R18, 96 px, batch 8", "classification", R50, R18, 96, 8, 4),
    Case("R50 to R18, 96 px, batch 32", "classification", R50, R18, 96, 32, 1),
    Case("the same with maps (kd and at)", "classification", R50, R18, 96, 32, 1, ("kd", "at")),
    Case(
        "U-Net R34 to R18, 256 px, batch 4",
        "segmentation",
        spec("unet", "resnet34"),
        spec("unet", "resnet18"),
        256,
        4,
        1,
    ),
)


class Contest:
    """One case with a teacher that is computed and the same that is read."""

    def __init__(self, case: Case, root: Path, precision: torch.dtype | None) -> None:
        self.case = case
        classes = ("a", "b", "c", "d") if case.task == "classification" else ("background", "gland")
        size = (case.size, case.size)
        teacher, student = (
            build_network(one, task=case.task, classes=classes, image_size=size, seed=0)
            for one in (case.teacher, case.student)
        )
        teacher.freeze()
        edges = [Transfer(source="T", target="S1", loss=load(entry_for(key))(), weight=1.0) for key in case.losses]
        self.cohort = Cohort(
            task=case.task,
            networks={"T": teacher, "S1": student},
            transfers=edges,
            task_loss=ClassificationLoss() if case.task == "classification" else MaskLoss(),
            facts=DataFacts(classes=len(classes), batch_size=case.batch),
            computing=HowComputed(precision=precision),
        )
        self.cohort.train()
        self.batches = [self._made_up(step, len(classes)) for step in range(case.steps)]
        self.optimizer = make_optimizer([Group(self.cohort.owned()["S1"])], TrainingSpec())
        self.live = FixedSize(case.batch)
        facts = {
            "network": network_facts(teacher),
            "pixels": {},
            "arithmetic": arithmetic_facts(
                torch.device("cpu"), batch=case.batch, precision=precision, channels_last=False
            ),
        }
        self.replay = Replay(self.live, lambda line: None, budget=1e12)
        rows = case.batch * case.steps
        self.replay.add("T", teacher, CacheEntry(root, facts, "T", ""), keys=np.arange(rows).astype("S16"), images=rows)
        self.replay.plan([0])
        for epoch in (1, 2):  # the first fills, the second compares and reads
            self.run(self.replay, epoch)
        self.record_bytes = sum(
            path.stat().st_size for path in (root / CacheEntry(root, facts, "T", "").key).glob("*.shard")
        )

    def _made_up(self, step: int, classes: int) -> Batch:
        case, rows = self.case, torch.arange(self.case.batch) + step * self.case.batch
        images = torch.rand(case.batch, 3, case.size, case.size, generator=torch.Generator().manual_seed(step))
        targets = rows % classes if case.task == "classification" else (images[:, 0] > 0.5).long()
        return Batch(images=images, targets=targets, positions=rows, rows=rows, whole=case.batch)

    def run(self, ask: FrozenOutputs, epoch: int) -> float:
        """Seconds of a step."""
        self.cohort.frozen_outputs = ask
        began = time.perf_counter()
        for step, batch in enumerate(self.batches):
            self.optimizer.zero_grad()
            torch.autograd.backward(torch.stack(tuple(self.cohort(batch, epoch, step).values())).sum())
            self.optimizer.step()
        return (time.perf_counter() - began) / len(self.batches)

    @torch.no_grad()
    def reading(self) -> float:
        """Seconds for which a step waits for the cache."""
        began = time.perf_counter()
        for batch in self.batches:
            self.replay("T", self.cohort.frozen["T"], batch, 2)
        return (time.perf_counter() - began) / len(self.batches)


STORED = (
    ("mobilenetv3_small_050", 96, 96),
    ("mobilenetv3_small_050", 64, 224),
    ("resnet10t", 96, 96),
)
"""A student, the side of an image, and the side to which the teacher brings it, in pixels."""


def recipe_of(student: str, size: int, sight: int, root: Path) -> Recipe:
    """Without labels, on some patches of CRCHistoPhenotypes."""
    table = {"csv": "data_labels_mainData.csv", "image": "ImageName", "image_folder": "patch_images"}
    return parse_recipe(
        {
            "task": "classification",
            "data": {
                "source": "table",
                "path": "${PRECEPTOR_DATA}/CRCHistoPhenotypes",
                "options": {**table, "label": "cellTypeName", "group": "patientID"},
                "subset": {"count": 300},
                "image_size": size,
                "cache": str(root / "cache"),
            },
            "augment": {"flip_horizontal": False, "flip_vertical": False},
            "networks": {
                "teacher": {"architecture": "vit_small_patch16_224", "weights": "none", "input_size": sight},
                "student": {"architecture": student, "weights": "none"},
                "count": 1,
            },
            "technique": {"name": "distil_features"},
            "training": {"batch_size": 16, "placement": "fixed", "teacher_cache": {"dtype": "float16"}},
        }
    )


def stored_contest(student: str, size: int, sight: int, rounds: int, steps: int) -> str:
    """One line: a step with a live teacher and with stored embeddings."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        recipe = recipe_of(student, size, sight, root)
        (root / "recipe.yaml").write_text(recipe.to_yaml())
        prepared = prepare(recipe)
        table = open_source(recipe.data.source, recipe.data.path, recipe.data.options, recipe.data)
        assert isinstance(table.read, FileReader), "patches are files"
        assert recipe.data.subset is not None, "some of them"
        reader = drawn(table, recipe.data.subset).read
        assert isinstance(reader, FileReader), "as those of the whole"
        (root / "images.csv").write_text("\n".join(["file", *reader.images]))
        began = time.perf_counter()
        found = embed_images(Wanted(str(root / "recipe.yaml"), device="cpu"), [root / "images.csv"], root / "stored")
        seconds = time.perf_counter() - began
        recipe = recipe.with_({"training.teacher_cache.stored": [str(root / "stored")]})
        run = run_of(recipe, prepared, make_fabric("cpu"), root / "run")
        contest = Steps(run, run.plan.stages[0], root)
        live, read = [], []
        for _ in range(rounds):
            live.append(contest.measure(steps, "computed").seconds)
            read.append(contest.measure(steps, "read").seconds)
        ratios = [a / b for a, b in zip(live, read, strict=True)]
        return (
            f"{student} at {size} px, ViT-S at {sight} px: live {spread(live, ' ms', 1e3)}, "
            f"stored {spread(read, ' ms', 1e3)}, ratio {spread(ratios, digits=1)}; "
            f"{len(found)} embedded in {seconds:.0f} s"
        )


def tiny(case: Case) -> Case:
    """The same with networks, images and batches that show whether it can be done, and no more."""
    if case.task == "segmentation":
        return replace(case, teacher=UNET_R18, size=64, batch=2)
    return replace(case, teacher=spec("resnet10t"), student=spec("test_resnet"), size=32, batch=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--tiny", action="store_true", help="the smallest of everything: only to see that it runs")
    parser.add_argument("--stored", action="store_true", help="a ViT-S live and stored, instead of the cache")
    given = parser.parse_args()
    if given.stored:
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, batches of 16, {given.rounds} rounds")
        for student, size, sight in STORED:
            print(stored_contest(student, size, sight, given.rounds, steps=4), flush=True)
        return
    precision = torch.bfloat16 if given.precision == "bf16-mixed" else None
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {given.precision}, {given.rounds} rounds")
    for case in map(tiny, CASES) if given.tiny else CASES:
        with tempfile.TemporaryDirectory() as folder:
            contest = Contest(case, Path(folder), precision)
            live, kept, reading = [], [], []
            for _ in range(given.rounds):
                live.append(contest.run(contest.live, 2))
                kept.append(contest.run(contest.replay, 2))
                reading.append(contest.reading())
            ratios = [a / b for a, b in zip(live, kept, strict=True)]
            share = contest.record_bytes / (case.batch * case.steps)
            print(
                f"{case.name}: computed {spread(live, ' ms', 1e3)}, read {spread(kept, ' ms', 1e3)}, "
                f"ratio {spread(ratios, digits=2)}; reading alone {1e3 * statistics.median(reading):.1f} ms, "
                f"{share:,.0f} bytes an image and view",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""What the training loop costs beside forward, backward and optimiser.

A baseline of one ResNet-18 at 96 px, batch 32, is trained by :func:`preceptor.training.fit.fit` and by a bare
hand-written loop doing the same mathematics on the same batches, held in memory, in turn. Printed: medians,
quartiles, and the ratio.

    python benchmarks/step_overhead.py [--steps 12] [--rounds 5]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch.nn import functional as F

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.task_loss import ClassificationLoss
from preceptor.data.batches import Batch
from preceptor.networks.build import build_network
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Member, Stage
from preceptor.recipe import Recipe
from preceptor.specs import NetworkSpec, TrainingSpec
from preceptor.training.fit import fit
from preceptor.training.optim import Group, make_optimizer
from preceptor.training.run_folder import RunFolder

SIZE, BATCH, CLASSES = 96, 32, ("a", "b", "c", "d")
SPEC = NetworkSpec(architecture="resnet18", weights="none")


class Held:
    """Batches that are already there."""

    def __init__(self, steps: int) -> None:
        rows = torch.arange(BATCH)
        self.batches = [
            Batch(images=torch.rand(BATCH, 3, SIZE, SIZE), targets=rows % 4, positions=rows, rows=rows, whole=BATCH)
            for _ in range(steps)
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def epochs(self, first: int, last: int, start: int = 0):
        yield from self.batches[start:]


def network():
    return build_network(SPEC, task="classification", classes=CLASSES, image_size=(SIZE, SIZE), seed=0)


def timed_fit(held: Held, fabric: Fabric) -> float:
    training = TrainingSpec(epochs=1, batch_size=BATCH)
    recipe = Recipe.model_validate(
        {
            "task": "classification",
            "data": {"source": "phantom"},
            "networks": {"student": SPEC, "count": 1},
            "technique": {"name": "baseline"},
        }
    )
    stage = Stage(name="main", members={"S1": Member(network=NetworkUse(name="S1", spec=SPEC))}, training=training)
    cohort = Cohort(
        task="classification",
        networks={"S1": network()},
        transfers=[],
        task_loss=ClassificationLoss(),
        facts=DataFacts(classes=4, batch_size=BATCH),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder), recipe)
        at = fit(
            fabric,
            stage,
            cohort,
            held,  # type: ignore[arg-type]
            lambda networks: {"S1": {"accuracy": 0.0}},
            run,
            monitor="accuracy",
            seed=0,
        )
    return at.seconds


def timed_bare(held: Held) -> float:
    model = network().train()
    optimizer = make_optimizer([Group(list(model.parameters()))], TrainingSpec())
    began = time.monotonic()
    for batch in held.batches:
        optimizer.zero_grad()
        F.cross_entropy(model(batch.images).logits, batch.targets).backward()
        optimizer.step()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    held, fabric = Held(given.steps), Fabric(accelerator="cpu", devices=1)
    timed_fit(held, fabric), timed_bare(held)
    ours, bare = [], []
    for _ in range(given.rounds):
        ours.append(timed_fit(held, fabric) / given.steps)
        bare.append(timed_bare(held) / given.steps)
    for name, values in (("preceptor", ours), ("bare loop", bare)):
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{name}: {middle * 1e3:.1f} ms a step (quartiles {low * 1e3:.1f}–{high * 1e3:.1f})")
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    print(f"ratio {ratio:.3f} ({torch.get_num_threads()} threads, torch {torch.__version__})")


if __name__ == "__main__":
    main()

"""What the training loop costs beside forward, backward and optimiser.

A baseline of one ResNet-18 at 96 px, batch 32, is trained by :func:`preceptor.training.fit.train_stage` and by a bare
hand-written loop doing the same mathematics on the same batches, held in memory, in turn. Printed: medians,
quartiles, and the ratio.

    python benchmarks/step_overhead.py [--steps 12] [--rounds 5]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.nn import functional as F

from held import Held
from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.data.batches import Batches
from preceptor.data.prepare import prepare
from preceptor.knowledge.task_loss import ClassificationLoss
from preceptor.networks.build import build_network
from preceptor.networks.network import Network
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Member, Stage
from preceptor.recipe import Recipe
from preceptor.specs import NetworkSpec, TrainingSpec
from preceptor.training.fit import train_stage
from preceptor.training.optim import Group, make_optimizer
from preceptor.training.run_folder import folder_for
from timing import spread

SIZE, BATCH, CLASSES = 96, 32, ("a", "b", "c", "d")
SPEC = NetworkSpec(architecture="resnet18", weights="none")


RECIPE = Recipe.model_validate(
    {
        "task": "classification",
        "data": {
            "source": "phantom",
            "options": {"size": SIZE, "classes": len(CLASSES), "images": 64},
            "image_size": SIZE,
        },
        "networks": {"student": SPEC, "count": 1},
        "technique": {"name": "baseline"},
        "training": {"epochs": 1, "batch_size": BATCH},
    }
)


def held(steps: int) -> Held:
    """The first batch of phantom tissue, again and again."""
    packed = prepare(RECIPE).packed
    first = next(Batches(packed, np.arange(len(packed)), batch_size=BATCH).epoch(0))
    return Held(packed, [first] * steps)


def network() -> Network:
    return build_network(SPEC, task="classification", classes=CLASSES, image_size=(SIZE, SIZE), seed=0)


def timed_fit(batches: Held, fabric: Fabric) -> float:
    members = {"S1": Member(network=NetworkUse(name="S1", spec=SPEC))}
    stage = Stage(name="main", members=members, training=RECIPE.training)
    cohort = Cohort(
        task="classification",
        networks={"S1": network()},
        transfers=[],
        task_loss=ClassificationLoss(),
        facts=DataFacts(classes=len(CLASSES), batch_size=BATCH),
    )
    with tempfile.TemporaryDirectory() as folder:
        at = train_stage(
            fabric,
            stage,
            cohort,
            batches,
            lambda networks: {"S1": {"accuracy": 0.0}},
            folder_for(Path(folder), RECIPE),
            monitor="accuracy",
            seed=0,
        )
    return at.seconds


def timed_bare(batches: Held) -> float:
    model = network().train()
    optimizer = make_optimizer([Group(list(model.parameters()))], TrainingSpec())
    began = time.monotonic()
    for batch in batches.batches:
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(model(batch.images).logits, batch.targets))
        optimizer.step()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    batches, fabric = held(given.steps), Fabric(accelerator="cpu", devices=1)
    timed_fit(batches, fabric), timed_bare(batches)
    ours, bare = [], []
    for _ in range(given.rounds):
        ours.append(timed_fit(batches, fabric) / given.steps)
        bare.append(timed_bare(batches) / given.steps)
    for name, values in (("preceptor", ours), ("bare loop", bare)):
        print(f"{name}: {spread(values, ' ms', 1e3, digits=1)} a step (quartiles)")
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    print(f"ratio {ratio:.3f} ({torch.get_num_threads()} threads, torch {torch.__version__})")


if __name__ == "__main__":
    main()

"""What each knowledge loss adds to a training step.

A step is the teacher's forward pass and the student's forward pass, task loss, backward pass and Adam. The part of a
loss is its own forward and backward pass down to the student's taps, and Adam on its adapters. Both are measured in
turn, round by round; printed are medians and the share of the whole. Losses with parameters have a network of their
own, and the target of 10 % is not for them.

    python benchmarks/losses.py [--task classification] [--rounds 5] [--only kd at]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.task_loss import ClassificationLoss, MaskLoss
from preceptor.networks.build import build_network
from preceptor.networks.network import Network
from preceptor.networks.outputs import Knowledge, Outputs
from preceptor.specs import NetworkSpec, Task

TARGET = 0.10
CLASSES = tuple("abcdefgh")
TRAINING_IMAGES = 4096


@dataclass(frozen=True, slots=True)
class Setup:
    """Networks and one batch for them."""

    task: Task
    teacher: Network
    student: Network
    images: Tensor
    targets: Tensor
    classes: int


def classification(teacher: str = "resnet50", student: str = "resnet18", size: int = 96, batch: int = 64) -> Setup:
    """One classifier to another, eight classes."""
    t, s = (
        _network(NetworkSpec(architecture=name, weights="none"), "classification", CLASSES, size)
        for name in (teacher, student)
    )
    return Setup("classification", t, s, torch.rand(batch, 3, size, size), torch.arange(batch) % 8, len(CLASSES))


def segmentation(teacher: str = "resnet50", student: str = "resnet18", size: int = 256, batch: int = 8) -> Setup:
    """U-Nets on these encoders, one foreground class."""
    t, s = (
        _network(NetworkSpec(architecture="unet", encoder=name, weights="none"), "segmentation", ("a", "b"), size)
        for name in (teacher, student)
    )
    targets = (torch.rand(batch, size, size) > 0.7).long()
    return Setup("segmentation", t, s, torch.rand(batch, 3, size, size), targets, 2)


SETUPS = {"classification": classification, "segmentation": segmentation}
TINY = {
    "classification": partial(classification, "resnet10t", "test_resnet", size=32, batch=16),
    "segmentation": partial(segmentation, "resnet18", "resnet18", size=64, batch=2),
}


def _network(spec: NetworkSpec, task: Task, classes: tuple[str, ...], size: int) -> Network:
    return build_network(spec, task=task, classes=classes, image_size=(size, size), seed=0)


def bare_step(setup: Setup) -> Callable[[], object]:
    """One step of the student with the teacher watching and nothing passed on."""
    task_loss = ClassificationLoss() if setup.task == "classification" else MaskLoss()
    optimizer = torch.optim.Adam(setup.student.parameters())

    def step() -> None:
        with torch.no_grad():
            setup.teacher(setup.images)
        optimizer.zero_grad()
        task_loss(setup.student(setup.images).logits, setup.targets).backward()
        optimizer.step()

    return step


def loss_part(setup: Setup, loss: Loss, student: Outputs, teacher: Outputs) -> Callable[[], object]:
    """Forward and backward pass of ``loss`` alone, and Adam on its adapters."""
    setting = loss.settings[setup.task]
    mine = _leaves(student.at(setting.student_tap))
    theirs = _leaves(teacher.at(setting.teacher_tap or setting.student_tap), learn=False)
    loss.build(
        Probe(
            edge="T->S1",
            task=setup.task,
            classes=setup.classes,
            batch_size=len(setup.images),
            student=mine,
            teacher=theirs,
            teacher_classifier=setup.teacher.classifier,
            train_labels=torch.arange(TRAINING_IMAGES) % setup.classes if setup.task == "classification" else None,
        )
    )
    adapters = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(adapters) if adapters else None
    more = {"ids": torch.arange(len(setup.images))} if loss.needs_ids else {}

    def part() -> None:
        torch.autograd.backward(loss(mine, theirs, setup.targets, **more))
        if optimizer:
            optimizer.step()
            optimizer.zero_grad()

    return part


def _leaves(knowledge: Knowledge, *, learn: bool = True) -> Knowledge:
    if isinstance(knowledge, tuple):
        return tuple(tensor.detach().requires_grad_(learn) for tensor in knowledge)
    return knowledge.detach().requires_grad_(learn)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=SETUPS, default="classification")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--tiny", action="store_true", help="the smallest of everything: only to see that it runs")
    given = parser.parse_args()

    setup = (TINY if given.tiny else SETUPS)[given.task]()
    setup.teacher.freeze()
    with torch.no_grad():
        student, teacher = setup.student(setup.images), setup.teacher(setup.images)
    losses = {
        key: catalogue.load(entry)()
        for key, entry in catalogue.losses().items()
        if setup.task in entry.settings and key in (given.only or [key])
    }
    parts: dict[str, Callable[[], object]] = {}
    for key, loss in losses.items():
        try:
            parts[key] = loss_part(setup, loss, student, teacher)
        except UserError as error:
            print(f"left out: {str(error).splitlines()[0]}")
    step = bare_step(setup)

    steps: list[float] = []
    taken: dict[str, list[float]] = {key: [] for key in parts}
    for number in range(given.rounds + 1):
        timings = {"": seconds(step), **{key: seconds(part) for key, part in parts.items()}}
        if number:  # the first round warms up
            steps.append(timings.pop(""))
            for key, value in timings.items():
                taken[key].append(value)

    whole = statistics.median(steps)
    print(
        f"step without knowledge: {1e3 * whole:.0f} ms ({torch.get_num_threads()} threads, torch {torch.__version__})"
    )
    print(f"{'loss':<16}{'ms':>9}{'share':>9}{'parameters':>13}")
    for key, values in sorted(taken.items(), key=lambda item: statistics.median(item[1])):
        part, parameters = statistics.median(values), sum(p.numel() for p in losses[key].parameters())
        share = part / (whole + part)
        note = "" if parameters or share < TARGET else "  over the target"
        print(f"{key:<16}{1e3 * part:>9.1f}{share:>9.1%}{parameters:>13,}{note}")


if __name__ == "__main__":
    main()

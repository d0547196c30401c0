"""Made-up outputs of unlike networks, and any loss of the catalogue built on an edge between two of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from preceptor.knowledge import catalogue
from preceptor.knowledge.base import Loss, Probe
from preceptor.networks.outputs import Knowledge, Outputs
from preceptor.specs import Task

TRAINING_LABELS = torch.arange(30) % 3
"""Labels of a made-up training set; batches are its first samples."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Channels and side of a network's maps, ``last`` included."""

    channels: tuple[int, int, int, int]
    sides: tuple[int, int, int, int]
    decoder1: tuple[int, int] = (6, 4)
    decoder: tuple[int, int] = (4, 16)


CNN = Shape((4, 6, 8, 10), (16, 8, 4, 2))
WIDE_CNN = Shape((8, 12, 16, 20), (16, 8, 4, 2))
ODD_CNN = Shape((3, 5, 7, 9), (14, 7, 4, 1), decoder1=(6, 5))
TRANSFORMER = Shape((12, 12, 12, 12), (4, 4, 4, 4))
SHAPES = {"cnn": CNN, "wide": WIDE_CNN, "odd": ODD_CNN, "transformer": TRANSFORMER}


def made_up(shape: Shape, task: Task, *, batch: int, classes: int, seed: int = 0) -> Outputs:
    """Random outputs; maps are not negative, as after a ReLU, and the embedding is the pooled last map."""
    draw = torch.Generator().manual_seed(seed)

    def map_of(channels: int, side: int) -> Tensor:
        return torch.randn(batch, channels, side, side, generator=draw).relu()

    maps = {f"stage{n}": map_of(*pair) for n, pair in enumerate(zip(shape.channels, shape.sides, strict=True), start=1)}
    maps["last"] = map_of(shape.channels[-1], shape.sides[-1])
    logits = torch.randn(batch, classes, generator=draw)
    if task == "segmentation":
        maps["decoder1"], maps["decoder"] = map_of(*shape.decoder1), map_of(*shape.decoder)
        logits = torch.randn(batch, 1 if classes == 2 else classes, 16, 16, generator=draw)
    return Outputs(logits, maps["last"].mean(dim=(2, 3)), maps)


def targets_of(task: Task, *, batch: int, classes: int) -> Tensor:
    """Labels of the first training samples, or masks with every class."""
    if task == "classification":
        return TRAINING_LABELS[:batch] % classes
    return torch.arange(batch * 16 * 16).reshape(batch, 16, 16) % classes


@dataclass(frozen=True, slots=True)
class Edge:
    """A built loss and what it is called with."""

    loss: Loss
    student: Knowledge
    teacher: Knowledge
    targets: Tensor
    more: dict[str, Any] = field(default_factory=dict)

    def value(self) -> Tensor:
        """The loss, with the same random numbers in every call."""
        torch.manual_seed(0)
        value: Tensor = self.loss(self.student, self.teacher, self.targets, **self.more)
        return value


def edge(
    key: str,
    task: Task,
    student: Outputs,
    teacher: Outputs,
    *,
    classes: int,
    options: dict[str, Any] | None = None,
    targets: Tensor | None = None,
) -> Edge:
    """The loss ``key``, built for these outputs at its published taps."""
    loss: Loss = catalogue.load(catalogue.losses()[key])(**options or {})
    setting = loss.settings[task]
    batch = len(student.logits)
    found = student.at(setting.student_tap), teacher.at(setting.teacher_tap or setting.student_tap)
    torch.manual_seed(0)
    loss.build(
        Probe(
            edge="T->S1",
            task=task,
            classes=classes,
            batch_size=batch,
            student=found[0],
            teacher=found[1],
            teacher_classifier=nn.Linear(teacher.embedding.shape[1], classes),
            train_labels=TRAINING_LABELS % classes if task == "classification" else None,
        )
    )
    if targets is None:
        targets = targets_of(task, batch=batch, classes=classes)
    more = {"ids": torch.arange(batch)} if loss.needs_ids else {}
    return Edge(loss, *found, targets, more)


def tensors(knowledge: Knowledge) -> tuple[Tensor, ...]:
    """One or several, as a tuple."""
    return knowledge if isinstance(knowledge, tuple) else (knowledge,)


def changed(outputs: Outputs, change: Callable[[Tensor], Tensor]) -> Outputs:
    """``outputs`` with every tensor changed."""
    maps = {name: change(one) for name, one in outputs.maps.items()}
    return Outputs(change(outputs.logits), change(outputs.embedding), maps)

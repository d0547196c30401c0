"""A made-up edge between two U-Nets of unlike encoders: what its taps hold, and losses built for it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.networks.outputs import Knowledge

CHANNELS = {
    "student": {"decoder": 6, "decoder1": 10, "last": 8, "stage1": 5},
    "teacher": {"decoder": 6, "decoder1": 12, "last": 16, "stage1": 7},
}
STRIDE = {"logits": 1, "decoder": 1, "decoder1": 4, "last": 8, "stage1": 2}


@dataclass(frozen=True, slots=True)
class Edge:
    """What one call of a loss gets."""

    student: Knowledge
    teacher: Knowledge
    targets: Tensor

    def leaves(self) -> list[Tensor]:
        """The student's tensors, each to be differentiated for."""
        return [tensor.requires_grad_() for tensor in tensors(self.student)]


def tensors(knowledge: Knowledge) -> tuple[Tensor, ...]:
    return knowledge if isinstance(knowledge, tuple) else (knowledge,)


def random_edge(
    loss: Loss, *, classes: int = 2, batch: int = 2, size: int = 16, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Edge:
    """Random tensors at the published taps of ``loss``; masks with every class."""
    generator = torch.Generator().manual_seed(seed)
    tap = loss.settings["segmentation"].student_tap
    names = (tap,) if isinstance(tap, str) else tap
    sides: list[Knowledge] = []
    for channels in CHANNELS.values():
        widths = {"logits": classes if classes > 2 else 1, **channels}
        found = tuple(
            2 * torch.randn(batch, widths[name], size // STRIDE[name], size // STRIDE[name], generator=generator)
            for name in names
        )
        found = tuple(tensor.to(dtype) for tensor in found)
        sides.append(found[0] if isinstance(tap, str) else found)
    targets = torch.randint(classes, (batch, size, size), generator=generator)
    return Edge(sides[0], sides[1], targets)


def built(loss: Loss, edge: Edge, *, classes: int = 2) -> Loss:
    """``loss`` with its adapters for ``edge``."""
    loss.build(
        Probe(
            edge="T->S1",
            task="segmentation",
            classes=classes,
            batch_size=len(edge.targets),
            student=edge.student,
            teacher=edge.teacher,
        )
    )
    return loss

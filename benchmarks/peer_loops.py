"""timm and a plain loop, set up as its documentation shows; see peers.py."""

import time
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from preceptor.data.batches import Batch
from preceptor.knowledge.feature.feature_mse import feature_mse
from preceptor.knowledge.logits.soft_target import SoftTargetLoss
from preceptor.knowledge.task_loss import MaskLoss
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs

LR, TEMPERATURE, ALPHA = 1e-4, 2.0, 0.2
CPU = torch.device("cpu")
PEERS = {"torchdistill": "torchdistill", "timm": "timm.task", "plain loop": "torch"}
"""Whom preceptor is timed against, and the module that this wants."""


def missing(peers: Collection[str]) -> list[str]:
    """Those of ``peers`` that are not installed."""
    return [name for name in peers if find_spec(PEERS[name]) is None]


def gaps(stamps: list[float]) -> list[float]:
    """Seconds between one and the next."""
    return [after - before for before, after in pairwise(stamps)]


class Loop:
    """A peer: how it computes the loss, and what a step does with it."""

    mean: Tensor | None = None
    std: Tensor | None = None

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError

    def update(self, loss: Tensor) -> None:
        raise NotImplementedError

    def loss(self, batch: Batch) -> float:
        with torch.no_grad():
            return self.forward(self.normalised(batch), batch.targets).item()

    def times(self, batches: list[Batch]) -> list[float]:
        images = [self.normalised(batch) for batch in batches]  # as data loaders do beforehand
        ends = []
        for pixels, batch in zip(images, batches, strict=True):
            self.update(self.forward(pixels, batch.targets))
            ends.append(time.perf_counter())
        return gaps(ends)

    def normalised(self, batch: Batch) -> Tensor:
        return batch.images if self.mean is None or self.std is None else (batch.images - self.mean) / self.std


class Plain(Loop):
    """Torch alone."""

    def __init__(self, objective: nn.Module) -> None:
        self.objective = objective.train()
        self.optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=LR)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.objective(images, targets)
        return loss

    def update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()


class Timm(Loop):
    """timm's task for distilling logits."""

    def __init__(self, teacher: nn.Module, student: nn.Module) -> None:
        from timm.task import LogitDistillationTask  # newer than what preceptor wants of timm

        self.task = LogitDistillationTask(
            student_model=student,
            teacher_model=teacher,
            criterion=nn.CrossEntropyLoss(),
            task_loss_weight=ALPHA,
            temperature=TEMPERATURE,
        ).train()
        self.optimizer = torch.optim.Adam(student.parameters(), lr=LR)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.task(images, targets)["loss"]
        return loss

    def update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()


class MaskKD(nn.Module):
    """Masks: the loss of the task and that of the teacher's logits."""

    def __init__(self) -> None:
        super().__init__()
        self.task, self.soft = MaskLoss(), SoftTargetLoss(temperature=TEMPERATURE)

    def forward(self, student: Any, teacher: Any, targets: Tensor | None = None, *more: Any) -> Tensor:
        return self.of(student["."]["output"], teacher["."]["output"], targets)

    def of(self, student: Tensor, teacher: Tensor, targets: Any) -> Tensor:
        loss: Tensor = ALPHA * self.task(student, targets) + (1 - ALPHA) * self.soft(student, teacher, targets)
        return loss


class Diverse(nn.Module):
    """KD+ML: S1 learns the teacher's features and S2's predictions, S2 the other way round; the teacher its task."""

    def __init__(self) -> None:
        super().__init__()
        self.soft = SoftTargetLoss(temperature=TEMPERATURE)

    def forward(self, student: Any, teacher: Any, targets: Tensor | None = None, *more: Any) -> Tensor:
        return self.of(student["."]["output"], targets)

    def of(self, said: Mapping[str, Outputs], targets: Any) -> Tensor:
        share = (1 - ALPHA) / 2
        t, one, two = said["T"], said["S1"], said["S2"]
        task = F.cross_entropy(t.logits, targets)
        task = task + ALPHA * (F.cross_entropy(one.logits, targets) + F.cross_entropy(two.logits, targets))
        features = feature_mse(one.maps["last"], t.maps["last"].detach())
        features = features + feature_mse(two.maps["last"], one.maps["last"].detach())
        predictions = self.soft(one.logits, two.logits.detach(), targets) + self.soft(
            two.logits, t.logits.detach(), targets
        )
        return task + share * (features + predictions)


class Offline(nn.Module):
    """The plain loop's loss with a frozen teacher."""

    def __init__(self, teacher: nn.Module, student: nn.Module, masks: bool) -> None:
        super().__init__()
        self.student = student
        self._teacher = [teacher.eval().requires_grad_(False)]  # outside the module tree: it stays in eval mode
        self.masks = MaskKD() if masks else None

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            teacher = self._teacher[0](images)
        student = self.student(images)
        if self.masks:
            return self.masks.of(student, teacher, targets)
        log_student, log_teacher = ((logits / TEMPERATURE).log_softmax(dim=1) for logits in (student, teacher))
        soft = TEMPERATURE**2 * F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
        return ALPHA * F.cross_entropy(student, targets) + (1 - ALPHA) * soft


class Together(nn.Module):
    """Several networks that see the same images."""

    def __init__(self, networks: Mapping[str, Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)

    def forward(self, images: Tensor) -> dict[str, Outputs]:
        return {name: network(images) for name, network in self.networks.items()}


class Online(nn.Module):
    """The plain loop's loss where the teacher trains along."""

    def __init__(self, together: Together) -> None:
        super().__init__()
        self.together, self.diverse = together, Diverse()

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        return self.diverse.of(self.together(images), targets)


def library_model(network: Any) -> nn.Module:
    """What timm or segmentation-models-pytorch make, with the weights of ``network``."""
    spec = network.blueprint.spec
    if network.blueprint.task == "classification":
        model = timm.create_model(spec.architecture, num_classes=len(network.blueprint.classes))
    else:
        channels = network.blueprint.logit_channels
        model = smp.create_model(spec.architecture, encoder_name=spec.encoder, encoder_weights=None, classes=channels)
    model.load_state_dict(network.model.state_dict())
    made: nn.Module = model
    return made.to(memory_format=torch.contiguous_format)

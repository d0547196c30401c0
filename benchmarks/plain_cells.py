"""Mixtures of distillation and mutual learning as one writes them by hand, with torch, timm and torchvision alone.

What study.py is measured against: one run after the other, float32, default memory layout, Adam with its defaults, an
offline teacher in eval mode and without gradients. Images come from PNG files, through ImageFolder and a DataLoader.
"""

import copy
import random
import time
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from preceptor.networks.classifier import Classifier

LR, TEMPERATURE, ALPHA = 1e-4, 2.0, 0.2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RECEIVES = {
    "predictions": (("predictions", "predictions"), ("predictions", "predictions")),
    "features": (("features", "features"), ("features", "features")),
    "diverse": (("features", "predictions"), ("predictions", "features")),
}
"""What S1 and S2 receive: from the teacher, from the other student."""

Loaded = Iterable[tuple[Tensor, Tensor]]


class PlainNet(nn.Module):
    """A timm model with the weights of ``network``; the teacher has Conv1x1-BN-ReLU before its pooling."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        classes = len(network.blueprint.classes)
        heads = 0 if network.adapter is not None else classes
        self.body = timm.create_model(network.blueprint.spec.architecture, num_classes=heads)
        self.body.load_state_dict(network.model.state_dict())
        self.adapter, self.fc = copy.deepcopy(network.adapter), copy.deepcopy(network.fc)
        self.to(memory_format=torch.contiguous_format).requires_grad_(True)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        last = self.body.forward_features(images)
        if self.adapter is None or self.fc is None:
            return self.body.forward_head(last), last
        last = self.adapter(last)
        return self.fc(last.mean(dim=(2, 3))), last


class PlainCell:
    """One run; counts what it asks of its teacher."""

    def __init__(self, technique: str, strategy: str, networks: Mapping[str, Classifier]) -> None:
        self.receives = RECEIVES[strategy]
        self.has_peers = technique in ("ml", "kd_ml")
        self.is_online = technique in ("kd_online", "kd_ml")
        made = {name: PlainNet(network) for name, network in networks.items()}
        self.teacher, self.students = made.pop("T", None), tuple(made.values())
        learning = [parameter for student in self.students for parameter in student.train().parameters()]
        if self.teacher and self.is_online:
            learning += self.teacher.train().parameters()
        elif self.teacher:
            self.teacher.eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(learning, lr=LR)
        self.offline_images = self.online_updates = 0

    def losses(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of both students, and that of a teacher that learns."""
        nobody = torch.zeros(())
        of_teacher, taught = nobody, None
        if self.teacher and self.is_online:
            taught = self.teacher(images)
            of_teacher = F.cross_entropy(taught[0], targets)
        elif self.teacher:
            with torch.no_grad():
                taught = self.teacher(images)
            self.offline_images += len(images)
        said = [student(images) for student in self.students]
        share = (1 - ALPHA) / 2 if taught and self.has_peers else 1 - ALPHA
        total = nobody
        for me, (from_teacher, from_peer) in enumerate(self.receives):
            total = total + ALPHA * F.cross_entropy(said[me][0], targets)
            if taught:
                total = total + share * received(from_teacher, said[me], taught)
            if self.has_peers:
                total = total + share * received(from_peer, said[me], said[1 - me])
        return total, of_teacher

    def step(self, images: Tensor, targets: Tensor) -> None:
        of_students, of_teacher = self.losses(images, targets)
        self.optimizer.zero_grad()
        torch.autograd.backward(of_students + of_teacher)
        self.optimizer.step()
        self.online_updates += self.is_online

    def times(self, loaded: Loaded) -> list[float]:
        """Seconds of each step but the first, waiting for images included."""
        ends = []
        for images, targets in loaded:
            self.step(images, targets)
            ends.append(time.perf_counter())
        return [after - before for before, after in pairwise(ends)]


def received(what: str, student: tuple[Tensor, Tensor], source: tuple[Tensor, Tensor]) -> Tensor:
    """What a student learns from another network's logits or last map."""
    if what == "features":
        return F.mse_loss(student[1], source[1].detach())
    log_student = (student[0] / TEMPERATURE).log_softmax(dim=1)
    log_source = (source[0].detach() / TEMPERATURE).log_softmax(dim=1)
    return TEMPERATURE**2 * F.kl_div(log_student, log_source, reduction="batchmean", log_target=True)


def normalised(images: Tensor) -> Tensor:
    """Pixels in [0, 1] as the networks want them."""
    return (images - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


class CountedFolder(ImageFolder):  # type: ignore[misc]  # torchvision has no types
    """An ImageFolder that notes how many images it has decoded, where it has no workers."""

    decoded = 0

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.decoded += 1
        found: tuple[Tensor, int] = super().__getitem__(index)
        return found


def transposed(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.TRANSPOSE) if random.random() < 0.5 else image


def folder_loader(
    folder: Path, batch: int, *, affine: bool = False, workers: int = 2
) -> DataLoader[tuple[Tensor, int]]:
    """ImageFolder and a DataLoader with lasting workers, set up as torchvision's documentation shows."""
    steps: list[object] = [
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.Lambda(transposed),
    ]
    if affine:
        bilinear = transforms.InterpolationMode.BILINEAR
        steps.append(transforms.RandomAffine(30, translate=(0.1, 0.1), scale=(0.9, 1.1), interpolation=bilinear))
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return DataLoader(
        CountedFolder(str(folder), transforms.Compose(steps)), batch_size=batch, shuffle=True, drop_last=True,
        num_workers=workers, persistent_workers=workers > 0,
    )  # fmt: skip

"""Pieces of adapters: small modules between the student's features and the teacher's."""

import copy

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call


class AdapterNorm(nn.BatchNorm2d):
    """Batch normalisation that uses its running statistics where a batch has one value per channel.

    One sample of a 1x1 map has no variance; plain batch normalisation refuses it in training.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.numel() > input.shape[1]:
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def conv_norm(inputs: int, outputs: int, *, kernel: int = 1) -> list[nn.Module]:
    """Convolution without bias that keeps the size, and batch normalisation."""
    return [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), AdapterNorm(outputs)]


def conv_norm_relu(inputs: int, outputs: int, *, kernel: int = 1) -> list[nn.Module]:
    """:func:`conv_norm` and ReLU."""
    return [*conv_norm(inputs, outputs, kernel=kernel), nn.ReLU()]


class TeacherClassifier:
    """A teacher's own classifier as it is at each call, its parameters constant to the gradient.

    It belongs to the teacher: a loss that holds this neither trains it nor saves it.

    Shapes:
        (N, D) embedding to (N, C) logits
    """

    def __init__(self, classifier: nn.Module) -> None:
        self._classifier = classifier

    def __call__(self, embedding: Tensor) -> Tensor:
        constant = {name: parameter.detach() for name, parameter in self._classifier.named_parameters()}
        logits: Tensor = functional_call(self._classifier, constant, (embedding,))
        return logits


class FrozenClassifier(nn.Module):
    """A copy of a teacher's classifier that never changes: no gradient, always in evaluation mode.

    Shapes:
        (N, D) embedding to (N, C) logits
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "FrozenClassifier":
        """Stay in evaluation mode."""
        del mode
        super().train(False)
        return self

    def forward(self, embedding: Tensor) -> Tensor:
        logits: Tensor = self.classifier(embedding)
        return logits

"""A critic that tells teacher logits from student logits, for holistic distillation."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import spectral_norm

CRITIC_SIZE = 65


class SelfAttention(nn.Module):
    r"""x + γ · (values attended over all positions), γ starting at 0.

    Shapes:
        maps: (N, C, H, W), C of 8 or more
        returns: the same

    Source: Zhang et al. 2019, arXiv:1805.08318, section 3.
    Differs: keys have no bias; softmax would cancel it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, kernel_size=1)
        self.key = nn.Conv2d(channels, channels // 8, kernel_size=1, bias=False)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor) -> Tensor:
        scores = self.query(maps).flatten(2).mT @ self.key(maps).flatten(2)  # (N, P, P)
        attended: Tensor = self.value(maps).flatten(2) @ scores.softmax(dim=2).mT
        blended: Tensor = maps + self.gate * attended.view_as(maps)
        return blended


class Critic(nn.Module):
    """Logits, resized to 65x65, to one score per image.

    BatchNorm, three spectral-norm 4x4 convolutions of stride 2 (64, 128, 256), self-attention, one more (512),
    self-attention, a 4x4 convolution to one value; LeakyReLU of slope 0.1.

    Shapes:
        logits: (N, C, H, W)
        returns: (N,)

    Source: the code of Liu et al. 2019, arXiv:1903.04197.
    Differs: no bias on the score, which cancels in the difference of two scores.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, track_running_stats=False)
        self.layers = nn.Sequential(
            _halving(channels, 64),
            _halving(64, 128),
            _halving(128, 256),
            SelfAttention(256),
            _halving(256, 512),
            SelfAttention(512),
            nn.Conv2d(512, 1, kernel_size=4, bias=False),
        )

    def forward(self, logits: Tensor) -> Tensor:
        size = (CRITIC_SIZE, CRITIC_SIZE)
        seen = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        score: Tensor = self.layers(self.norm(seen))
        return score.flatten()


def _halving(inputs: int, outputs: int) -> nn.Module:
    convolution = spectral_norm(nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1))
    return nn.Sequential(convolution, nn.LeakyReLU(0.1))


def fooling_loss(critic: nn.Module, student: Tensor) -> Tensor:
    """-mean D(student): gradient for the student's logits only, none for the critic."""
    fixed = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    score: Tensor = functional_call(critic, fixed, (student,))
    return -score.mean()


def critic_loss(
    critic: nn.Module, student: Tensor, teacher: Tensor, *, kind: Literal["wgan-gp", "hinge"], penalty: float = 10.0
) -> Tensor:
    r"""The critic's own objective: gradient for the critic only, none for the logits.

    .. math:: \text{wgan-gp:} \quad \overline{D(z^s)} - \overline{D(z^t)}
              + \lambda \, \overline{(\|\nabla_x D(x)\| - 1)^2}, \quad x = u z^t + (1 - u) z^s, \; u \sim U(0, 1)

    .. math:: \text{hinge:} \quad \overline{\max(0, 1 - D(z^t))} + \overline{\max(0, 1 + D(z^s))}

    Shapes:
        student, teacher: (N, C, H, W) logits
        returns: ()

    Source: Gulrajani et al. 2017, arXiv:1704.00028, equation 3; Lim & Ye 2017, arXiv:1705.02894.
    """
    student, teacher = student.detach(), teacher.detach()
    real: Tensor = critic(teacher)
    fake: Tensor = critic(student)
    if kind == "hinge":
        return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()
    return fake.mean() - real.mean() + penalty * _gradient_penalty(critic, student, teacher)


def _gradient_penalty(critic: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    share = torch.rand(len(student), 1, 1, 1, dtype=student.dtype, device=student.device)
    between = (share * teacher + (1.0 - share) * student).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    steepness: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
    return (steepness - 1.0).square().mean()

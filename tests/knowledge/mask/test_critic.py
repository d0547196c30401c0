"""The critic of holistic distillation."""

import pytest
import torch
from torch import Tensor, nn

from preceptor.knowledge.mask.critic import Critic, SelfAttention, critic_loss, fooling_loss


class Slope(nn.Module):
    """D(x) = w · sum of x: its gradient has norm |w| √(C H W) everywhere."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, logits: Tensor) -> Tensor:
        return self.weight * logits.flatten(1).sum(dim=1)


def test_wgan_by_hand() -> None:
    """Slope 1/2 over 4 elements has gradient norm 1: no penalty; slope 1 has norm 2, penalty 10 · 1."""
    student, teacher = torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2)
    gentle = critic_loss(Slope(0.5), student, teacher, kind="wgan-gp")
    steep = critic_loss(Slope(1.0), student, teacher, kind="wgan-gp")
    torch.testing.assert_close(gentle.item(), -2.0)
    torch.testing.assert_close(steep.item(), -4.0 + 10.0)


def test_hinge_by_hand() -> None:
    """Scores 4 for the teacher (past the margin) and 0 for the student (1 short of it)."""
    loss = critic_loss(Slope(1.0), torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2), kind="hinge")
    assert loss.item() == 1.0


@pytest.mark.parametrize("kind", ["hinge", "wgan-gp"])
def test_each_objective_reaches_only_its_own(kind: str) -> None:
    critic = Critic(2)
    student, teacher = torch.randn(2, 2, 16, 16, requires_grad=True), torch.randn(2, 2, 16, 16, requires_grad=True)

    fooling_loss(critic, student).backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())

    student.grad = None
    critic_loss(critic, student, teacher, kind=kind).backward()  # type: ignore[arg-type]
    assert student.grad is None
    assert teacher.grad is None
    assert all(parameter.grad is not None for parameter in critic.parameters())


@pytest.mark.parametrize("size", [16, 65, 100])
def test_one_score_per_image_of_any_size(size: int) -> None:
    assert Critic(3)(torch.randn(2, 3, size, size)).shape == (2,)


def test_attention_starts_as_identity() -> None:
    maps = torch.randn(2, 16, 4, 4)
    assert torch.equal(SelfAttention(16)(maps), maps)


def test_attention_equals_a_loop_over_places() -> None:
    layer, maps = SelfAttention(8), torch.randn(1, 8, 2, 3)
    nn.init.ones_(layer.gate)
    query, key, value = (part(maps)[0].flatten(1) for part in (layer.query, layer.key, layer.value))
    expected = torch.stack([value @ (query[:, i] @ key).softmax(0) for i in range(6)], dim=1)
    torch.testing.assert_close(layer(maps), maps + expected.view(1, 8, 2, 3))


def test_the_spectral_norm_is_one() -> None:
    critic = Critic(2)
    for _ in range(50):
        critic(torch.randn(1, 2, 16, 16))
    convolution = critic.layers[1][0]
    largest = torch.linalg.matrix_norm(convolution.weight.detach().flatten(1), ord=2)
    torch.testing.assert_close(largest.item(), 1.0, rtol=0.02, atol=0.0)

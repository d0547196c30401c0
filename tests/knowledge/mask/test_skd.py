"""Structured knowledge distillation."""

import math

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.base import class_logits
from preceptor.knowledge.mask.skd import SKDLoss, pair_distance, pixel_cross_entropy, pooled_places

from .edge import built, random_edge


def test_cross_entropy_of_undecided_students_by_hand() -> None:
    """ln 3 for each pixel: averaged over pixels, summed over the two images."""
    actual = pixel_cross_entropy(torch.zeros(2, 3, 4, 4), torch.randn(2, 3, 4, 4))
    torch.testing.assert_close(actual, torch.tensor(2.0 * math.log(3.0)))


def test_pairs_by_hand() -> None:
    """Two places: alike for the teacher, at right angles for the student. Two of four entries differ by 1."""
    student = torch.tensor([[3.0, 0.0], [0.0, 5.0]]).view(1, 2, 1, 2)
    teacher = torch.ones(1, 4, 1, 2)
    torch.testing.assert_close(pair_distance(student, teacher, scale=0.5), torch.tensor(0.5))


@pytest.mark.parametrize(
    ("size", "scale", "kernel", "places"),
    [((8, 8), 0.5, (4, 4), 4), ((9, 9), 0.5, (4, 4), 9), ((1, 1), 0.5, (1, 1), 1), ((8, 12), 0.25, (2, 3), 16)],
)
def test_pooling(size: tuple[int, int], scale: float, kernel: tuple[int, int], places: int) -> None:
    assert pooled_places(torch.Size(size), scale=scale) == (kernel, places)


def test_too_many_pairs_are_refused() -> None:
    edge = random_edge(SKDLoss(), size=64)
    with pytest.raises(UserError, match=r"scale 0\.01 leaves 4096 places of a 64x64 map"):
        built(SKDLoss(scale=0.01), edge)
    built(SKDLoss(scale=0.01, pairwise=False), edge)


def test_parts_can_be_left_out() -> None:
    edge = random_edge(SKDLoss())
    values = [
        built(SKDLoss(pixelwise=pixel, pairwise=pair), edge)(edge.student, edge.teacher, edge.targets)
        for pixel, pair in ((True, False), (False, True), (True, True))
    ]
    torch.testing.assert_close(values[0] + values[1], values[2])
    with pytest.raises(UserError, match="switch one on"):
        SKDLoss(pixelwise=False, pairwise=False)


def test_an_unknown_critic_is_refused() -> None:
    with pytest.raises(UserError, match="wgan-gp"):
        SKDLoss(critic="gan")  # type: ignore[arg-type]


def test_the_critic_is_an_adapter_that_is_trained_only_if_asked_for() -> None:
    edge = random_edge(SKDLoss())
    assert not list(built(SKDLoss(), edge).parameters())
    loss = built(SKDLoss(holistic=True), edge)
    assert list(loss.parameters())
    assert "batches of 2 are small" in loss.notes[0]


def test_the_student_feels_its_own_objective_only() -> None:
    """The gradient of the logits is that of fooling the critic, whatever the critic itself learns."""
    torch.manual_seed(0)
    edge = random_edge(SKDLoss())
    loss = built(SKDLoss(pixelwise=False, pairwise=False, holistic=True, adversarial_weight=1.0), edge)
    assert isinstance(loss, SKDLoss)
    assert loss.critic is not None
    loss.critic.eval()  # no step of the power iteration between the calls
    logits, _ = edge.leaves()
    (felt,) = torch.autograd.grad(loss(edge.student, edge.teacher, edge.targets), [logits])
    (fooling,) = torch.autograd.grad(-loss.critic(class_logits(logits)).mean(), [logits])
    torch.testing.assert_close(felt, fooling)
    assert felt.abs().sum() > 0


def test_the_critic_learns_to_tell_teacher_from_student() -> None:
    """One optimiser minimises the sum of both objectives."""
    torch.manual_seed(0)
    edge = random_edge(SKDLoss())
    loss = built(SKDLoss(pixelwise=False, pairwise=False, holistic=True, critic="hinge"), edge)
    assert isinstance(loss, SKDLoss)
    assert loss.critic is not None
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-3)
    for _ in range(8):
        optimizer.zero_grad()
        loss(edge.student, edge.teacher, edge.targets).backward()
        optimizer.step()
    with torch.no_grad():
        student, teacher = (class_logits(side[0]) for side in (edge.student, edge.teacher))
        assert loss.critic(teacher).mean() > loss.critic(student).mean() + 0.5

import math

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.logits.ofa import OFALoss, adaptive_target_cross_entropy

from ..networks import CNN, TRANSFORMER, edge, made_up
from ..references import soft_target_cross_entropy


def test_an_exponent_of_one_is_the_soft_cross_entropy() -> None:
    student, teacher, labels = torch.randn(4, 3), torch.randn(4, 3), torch.arange(4) % 3
    actual = adaptive_target_cross_entropy(student, teacher, labels, exponent=1.0, temperature=1.0)
    torch.testing.assert_close(actual, soft_target_cross_entropy(student, teacher, temperature=1.0))


def test_an_exponent_of_two_by_hand() -> None:
    """Teacher (1/2, 1/2), target 0, undecided student: ((3/2)² - 1 + (1/2)²) ln 2."""
    zeros = torch.zeros(1, 2)
    actual = adaptive_target_cross_entropy(zeros, zeros, torch.tensor([0]), exponent=2.0, temperature=1.0)
    torch.testing.assert_close(actual, torch.tensor(1.5 * math.log(2.0)))


@pytest.mark.parametrize("shape", [CNN, TRANSFORMER])
def test_every_stage_gets_an_exit_and_the_logits_count_once(shape) -> None:
    student = made_up(shape, "classification", batch=4, classes=3)
    teacher = made_up(CNN, "classification", batch=4, classes=3, seed=1)
    with_exits = edge("ofa", "classification", student, teacher, classes=3)
    without = edge("ofa", "classification", student, teacher, classes=3, options={"exit_weight": 0.0})
    assert isinstance(with_exits.loss, OFALoss)
    assert len(with_exits.loss.exits) == 4
    assert all(leave(student.maps[f"stage{n}"]).shape == (4, 3) for n, leave in enumerate(with_exits.loss.exits, 1))
    own = adaptive_target_cross_entropy(
        student.logits, teacher.logits, with_exits.targets, exponent=1.0, temperature=1.0
    )
    torch.testing.assert_close(without.value(), own)
    assert with_exits.value() > own


def test_other_classes_are_refused() -> None:
    student = made_up(CNN, "classification", batch=4, classes=4)
    teacher = made_up(CNN, "classification", batch=4, classes=3)
    with pytest.raises(UserError, match="ofa on T->S1 compares class scores; the student has 4, the teacher 3"):
        edge("ofa", "classification", student, teacher, classes=3)

import math

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.relation.tokens import TokenSimilarityLoss, token_similarity_kl


def test_two_tokens_by_hand() -> None:
    """Unlike tokens of the teacher, (3/4, 1/4) of itself and the other; equal ones of the student."""
    teacher = torch.eye(2, dtype=torch.float64).reshape(1, 2, 1, 2)
    student = torch.ones(1, 1, 1, 2, dtype=torch.float64)
    found = token_similarity_kl(student, teacher, temperature=1 / math.log(3))
    assert math.isclose(found.item(), 0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel_tol=1e-9)


def test_a_slow_reference() -> None:
    student, teacher = torch.randn(2, 3, 2, 3, dtype=torch.float64), torch.randn(2, 5, 2, 3, dtype=torch.float64)
    total = 0.0
    for image in range(2):
        rows = []
        for maps in (teacher, student):
            tokens = [maps[image, :, i // 3, i % 3] for i in range(6)]
            cosines = [[(a @ b / (a.norm() * b.norm()) / 0.1).exp() for b in tokens] for a in tokens]
            rows.append([[value / sum(row) for value in row] for row in cosines])
        total += sum(
            p * (p / q).log() for mine, other in zip(*rows, strict=True) for p, q in zip(mine, other, strict=True)
        )
    torch.testing.assert_close(token_similarity_kl(student, teacher, temperature=0.1), total / 12)


def test_one_position_is_refused() -> None:
    shapes = {"student": torch.zeros(1, 2, 4, 4), "teacher": torch.zeros(1, 2, 1, 1)}
    with pytest.raises(UserError, match="one position"):
        TokenSimilarityLoss().build(Probe(edge="T->S1", task="classification", classes=2, batch_size=2, **shapes))

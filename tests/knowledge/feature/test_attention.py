import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.feature.attention import AttentionTransferLoss, attention_transfer


def test_opposite_places_by_hand() -> None:
    """Unit attention on one of two places each: mean of (1 - 0)² and (0 - 1)², twice for two levels."""
    student, teacher = torch.tensor([[[[5.0, 0.0]]]]), torch.tensor([[[[0.0, -2.0]], [[0.0, 1.0]]]])
    assert attention_transfer([student], [teacher]).item() == pytest.approx(1.0)
    assert attention_transfer([student] * 2, [teacher] * 2).item() == pytest.approx(2.0)


def test_odd_exponents_are_refused() -> None:
    with pytest.raises(UserError, match="at: exponent must be even"):
        AttentionTransferLoss(exponent=3)

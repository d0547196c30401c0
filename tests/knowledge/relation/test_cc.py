import torch

from preceptor.knowledge.relation.cc import consecutive_correlation


def test_three_samples_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.0, 4.0]])
    assert consecutive_correlation(student, torch.zeros(3, 2)).item() == (2.0 + 12.0) / 2

import pytest
import torch

from preceptor.knowledge.feature.semckd import SemCKDLoss, gram_rows, matched_distance

from ..networks import CNN, WIDE_CNN, edge, made_up


def built(batch: int) -> SemCKDLoss:
    student = made_up(CNN, "classification", batch=batch, classes=2)
    teacher = made_up(WIDE_CNN, "classification", batch=batch, classes=2, seed=1)
    loss = edge("semckd", "classification", student, teacher, classes=2, options={"widest": 8}).loss
    assert isinstance(loss, SemCKDLoss)
    return loss


def test_gram_rows_by_hand() -> None:
    maps = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 0.0]]]])
    assert gram_rows(maps).tolist() == [[5.0, 3.0], [3.0, 9.0]]


def test_distance_by_hand() -> None:
    attention = torch.tensor([[[0.25, 0.75]], [[1.0, 0.0]]])
    errors = [[torch.tensor([4.0, 1.0]), torch.tensor([8.0, 9.0])]]
    assert matched_distance(attention, errors).item() == (1.0 + 6.0 + 1.0) / 2


def test_attention_is_a_distribution_over_the_teachers_stages() -> None:
    student = [made_up(CNN, "classification", batch=8, classes=2).maps[f"stage{n}"] for n in range(1, 5)]
    teacher = [made_up(WIDE_CNN, "classification", batch=8, classes=2, seed=1).maps[f"stage{n}"] for n in range(1, 5)]
    attention = built(8).attention(student, teacher)
    assert attention.shape == (8, 4, 4)
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(8, 4))


def test_another_batch_size_is_refused() -> None:
    maps = tuple(made_up(CNN, "classification", batch=6, classes=2).maps[f"stage{n}"] for n in range(1, 5))
    with pytest.raises(ValueError, match="built for batches of 8, got one of 6"):
        built(8)(maps, maps, torch.zeros(6, dtype=torch.int64))


def test_small_batches_are_noted() -> None:
    assert "the attention cannot learn" in built(4).notes[0]
    assert not built(8).notes

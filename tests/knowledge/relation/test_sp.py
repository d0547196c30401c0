import torch

from preceptor.knowledge.relation.sp import similarity_gap


def test_two_samples_by_hand() -> None:
    """A student that finds them equal against a teacher that finds them unrelated: rows (1, 1)/√2 and (1, 0)."""
    student, teacher = torch.tensor([[1.0], [1.0]]), torch.eye(2)
    half = 0.5**0.5
    expected = 2 * ((1 - half) ** 2 + half**2) / 4
    torch.testing.assert_close(similarity_gap(student, teacher), torch.tensor(expected))

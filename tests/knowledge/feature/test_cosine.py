import math

import torch

from preceptor.knowledge.feature.cosine import cosine_distance


def test_angles_by_hand() -> None:
    """The same direction, a right angle, 60 degrees, the opposite."""
    teacher = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(4, 2)
    student = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, math.sqrt(3)], [-1.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([0.0, 1.0, 0.5, 2.0], dtype=torch.float64)
    torch.testing.assert_close(cosine_distance(student, teacher), expected)


def test_a_map_has_a_distance_at_each_position() -> None:
    student, teacher = (torch.randn(2, 3, 4, 5, dtype=torch.float64) for _ in range(2))
    found = cosine_distance(student, teacher)
    assert found.shape == (2, 4, 5)
    one, other = student[1, :, 2, 3], teacher[1, :, 2, 3]
    torch.testing.assert_close(found[1, 2, 3], 1 - one @ other / (one.norm() * other.norm()))

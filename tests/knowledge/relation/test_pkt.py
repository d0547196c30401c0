import math

import torch

from preceptor.knowledge.relation.pkt import neighbour_kl


def test_two_samples_by_hand() -> None:
    """Unrelated for the teacher, (1, 1/2) / 1.5; equal for the student, (1/2, 1/2)."""
    expected = 2 * (2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3)) / 4
    actual = neighbour_kl(torch.ones(2, 1, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    assert math.isclose(actual.item(), expected, rel_tol=1e-5)

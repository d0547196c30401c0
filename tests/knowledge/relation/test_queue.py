import math

import torch
from torch import nn

from preceptor.knowledge.base import Probe
from preceptor.knowledge.relation.queue import QueueLoss, neighbour_kl_in


def test_two_keys_by_hand() -> None:
    """cos/T of (ln 3, 0) for the teacher, equal for the student: KL = 3/4 ln 3/2 + 1/4 ln 1/2."""
    keys = torch.eye(2, dtype=torch.float64)
    teacher, student = keys[:1], torch.ones(1, 2, dtype=torch.float64)
    found = neighbour_kl_in(student, teacher, keys, temperature=1 / math.log(3))
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert math.isclose(found.item(), expected, rel_tol=1e-9)


def test_what_is_no_key_yet_does_not_count() -> None:
    keys, known = torch.randn(6, 4, dtype=torch.float64), torch.tensor([1, 1, 0, 1, 0, 0]).bool()
    student, teacher = (torch.randn(3, 4, dtype=torch.float64) for _ in range(2))
    found = neighbour_kl_in(student, teacher, keys, temperature=0.07, known=known)
    torch.testing.assert_close(found, neighbour_kl_in(student, teacher, keys[known], temperature=0.07))


def test_the_queue_holds_the_last_embeddings_newest_first() -> None:
    loss = QueueLoss(size=3)
    shapes = {"student": torch.zeros(1, 2), "teacher": torch.zeros(1, 2)}
    loss.build(Probe(edge="T->S1", task="classification", classes=2, batch_size=2, **shapes))
    loss.projector = nn.Identity()
    for first in (1.0, 3.0):
        teacher = torch.tensor([[first, 0.5], [first + 1, 0.5]])
        loss(torch.ones(2, 2), teacher, torch.zeros(2).long())
    assert loss.state_dict()["queue"][:, 0].tolist() == [3.0, 4.0, 1.0]
    assert loss.is_key.tolist() == [True, True, True]


def test_the_perfect_student_is_0() -> None:
    features = torch.randn(4, 5, dtype=torch.float64)
    assert abs(neighbour_kl_in(features, 2 * features, features, temperature=0.07).item()) < 1e-12

import math

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.relation.crd import CRDLoss, noise_contrast


def built(labels: torch.Tensor | None = None, **options: int | float) -> CRDLoss:
    torch.manual_seed(0)
    loss = CRDLoss(**{"width": 4, "negatives": 50, **options})
    loss.build(
        Probe(
            edge="T->S1",
            task="classification",
            classes=3,
            batch_size=4,
            student=torch.zeros(1, 6),
            teacher=torch.zeros(1, 8),
            train_labels=torch.arange(30) % 3 if labels is None else labels,
        )
    )
    return loss


def step(loss: CRDLoss, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    ids = torch.randperm(30)[:4]
    value: torch.Tensor = loss(torch.randn(4, 6), torch.randn(4, 8), ids % 3, ids=ids)
    return value


def test_contrast_by_hand() -> None:
    """One positive at 1, one negative at 1, two samples: both are told with 1 / (1 + 1/2) and (1/2) / (1 + 1/2)."""
    actual = noise_contrast(torch.ones(1, 2), samples=2)
    assert math.isclose(actual.item(), -math.log(2 / 3) - math.log(1 / 3), rel_tol=1e-5)


def test_negatives_are_every_sample_of_the_other_classes() -> None:
    labels = torch.tensor([2, 0, 0, 1, 2, 0, 1])
    loss = built(labels, negatives=500)
    drawn = loss.draw_negatives(torch.tensor([0, 1, 2]))
    for target, row in enumerate(drawn):
        assert set(row.tolist()) == {place for place, label in enumerate(labels.tolist()) if label != target}


def test_memories_follow_their_samples_only() -> None:
    loss = built(momentum=0.0)
    before = loss.student_memory.clone()
    student, ids = torch.randn(4, 6), torch.tensor([5, 1, 29, 12])
    loss(student, torch.randn(4, 8), ids % 3, ids=ids)
    fresh = torch.nn.functional.normalize(loss.student_projector(student), dim=1)
    torch.testing.assert_close(loss.student_memory[ids], fresh)
    others = [place for place in range(30) if place not in ids]
    assert torch.equal(loss.student_memory[others], before[others])


def test_evaluation_leaves_the_memories_alone() -> None:
    loss = built().eval()
    before = loss.student_memory.clone()
    step(loss, 1)
    assert torch.equal(loss.student_memory, before)


def test_the_normaliser_is_fixed_by_the_first_batch() -> None:
    loss = built()
    step(loss, 1)
    first = loss.student_scale.clone()
    step(loss, 2)
    assert first > 0
    assert torch.equal(loss.student_scale, first)


def test_a_saved_and_loaded_loss_goes_on_exactly() -> None:
    loss, again = built(), built()
    step(loss, 1)
    again.load_state_dict(loss.state_dict())
    assert torch.equal(step(loss, 2), step(again, 2))
    assert torch.equal(loss.teacher_memory, again.teacher_memory)


def test_one_class_has_no_negatives() -> None:
    with pytest.raises(UserError, match=r"crd on T->S1 takes its negatives from other classes; .* one class only"):
        built(torch.zeros(5, dtype=torch.int64))

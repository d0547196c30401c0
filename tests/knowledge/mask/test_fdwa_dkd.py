"""FDWA-style decoupled distillation."""

import math

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from preceptor.knowledge.mask.fdwa_dkd import FDWAStyleLoss, decoupled_pixel_kl, image_weights, present_class_kl

from .edge import Edge, built, random_edge


def test_two_classes_are_all_target_by_hand() -> None:
    teacher = torch.tensor([0.0, math.log(3.0)]).view(1, 2, 1, 1)
    target, others = decoupled_pixel_kl(
        torch.zeros(1, 2, 1, 1), teacher, torch.ones(1, 1, 1, dtype=torch.int64), temperature=1.0
    )
    torch.testing.assert_close(target, torch.tensor([0.75 * math.log(1.5) + 0.25 * math.log(0.5)]))
    assert others == 0.0


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 6))
def test_the_parts_make_up_the_whole(seed: int, classes: int) -> None:
    """KL = target part + (1 - p_y of the teacher) · part among the others, for one pixel."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = 3 * torch.randn(2, 1, classes, 1, 1, generator=generator, dtype=torch.float64)
    label = torch.randint(classes, (1, 1, 1), generator=generator)
    target, others = decoupled_pixel_kl(student, teacher, label, temperature=2.0)
    rest = 1.0 - (teacher / 2.0).softmax(dim=1)[0, label.item()]
    whole = F.kl_div((student / 2.0).log_softmax(1), (teacher / 2.0).log_softmax(1), log_target=True, reduction="sum")
    torch.testing.assert_close((target + rest * others).squeeze(), 4.0 * whole)


def test_ignored_pixels_do_not_count() -> None:
    student, teacher, labels = torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2), torch.randint(3, (1, 2, 2))
    labels[0, 1] = 255
    whole = decoupled_pixel_kl(student, teacher, labels, temperature=4.0)
    known = decoupled_pixel_kl(student[:, :, :1], teacher[:, :, :1], labels[:, :1], temperature=4.0)
    torch.testing.assert_close(whole, known)


def test_absent_classes_contribute_nothing() -> None:
    student, teacher = torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2)
    labels = torch.tensor([[[0, 0], [2, 2]]])
    student[:, 1] = 100.0 * teacher[:, 1]
    loud = present_class_kl(student, teacher, labels, temperature=4.0)
    student[:, 1] = 0.0
    assert torch.equal(loud, present_class_kl(student, teacher, labels, temperature=4.0))


def test_one_channel_stands_for_the_foreground() -> None:
    student, teacher = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    background = torch.zeros(2, 4, 4, dtype=torch.int64)
    assert present_class_kl(student, teacher, background, temperature=4.0) == 0.0
    assert present_class_kl(student, teacher, background + 1, temperature=4.0) > 0.0


def test_weights_rise_with_distance_between_a_half_and_two() -> None:
    weights = image_weights(torch.tensor([0.0, 0.5, 2.0, 0.0]))
    assert weights[0] == weights[3] == 0.5
    assert 0.5 < weights[1] < weights[2] <= 2.0
    torch.testing.assert_close(image_weights(torch.full((3,), 1.3)), torch.ones(3))


def test_two_classes_are_noted() -> None:
    edge = random_edge(FDWAStyleLoss())
    assert "beta" in built(FDWAStyleLoss(), edge).notes[0]


def test_the_adapter_brings_the_maps_together() -> None:
    """Trained by the loss, the distance between a map and the projection of another falls."""
    torch.manual_seed(0)
    edge = random_edge(FDWAStyleLoss(), batch=4)
    loss = built(FDWAStyleLoss(), Edge(edge.student, edge.teacher, edge.targets))
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    values = []
    for _ in range(20):
        value = loss(edge.student, edge.teacher, edge.targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0] - 0.1

"""Intra-class feature variation."""

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from preceptor.knowledge.mask.ifvd import IFVDLoss, class_variation, variation_distance

from .edge import Edge, built


def test_two_pixels_of_a_class_by_hand() -> None:
    """(1, 0) and (0, 1) lie 45 degrees from their centre; the lone pixel of another class on its own."""
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-3.0, 2.0]]).T.view(1, 2, 1, 3)
    labels = torch.tensor([[[0, 0, 1]]])
    actual = class_variation(features, labels, classes=2)
    torch.testing.assert_close(actual, torch.tensor([[0.5**0.5, 0.5**0.5, 1.0]]))


def one_by_one(features: Tensor, labels: Tensor) -> Tensor:
    """The definition, pixel by pixel."""
    values = torch.ones(len(features), labels.shape[1] * labels.shape[2], dtype=features.dtype)
    for image in range(len(features)):
        pixels, own = features[image].flatten(1), labels[image].flatten()
        for place, label in enumerate(own.tolist()):
            if label != 255:
                centre = pixels[:, own == label].sum(dim=1) / (float((own == label).sum()) + 1e-6)
                values[image, place] = F.cosine_similarity(pixels[:, place], centre, dim=0)
    return values


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 5))
def test_equals_the_definition(seed: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (2, 4, 4), generator=generator)
    labels[0, 0, :2] = 255
    torch.testing.assert_close(class_variation(features, labels, classes=classes), one_by_one(features, labels))


def test_the_size_of_features_does_not_matter() -> None:
    student, teacher, labels = torch.randn(2, 4, 6, 6), torch.randn(2, 7, 6, 6), torch.randint(2, (2, 6, 6))
    plain = variation_distance(student, teacher, labels, classes=2)
    torch.testing.assert_close(plain, variation_distance(1e3 * student, 1e-2 * teacher, labels, classes=2))


def test_ignored_pixels_teach_nothing() -> None:
    edge = Edge(torch.randn(1, 3, 4, 4, requires_grad=True), torch.randn(1, 5, 4, 4), torch.full((1, 4, 4), 255))
    loss = built(IFVDLoss(), edge)(edge.student, edge.teacher, edge.targets)
    loss.backward()
    assert loss == 0.0
    assert isinstance(edge.student, Tensor)
    assert edge.student.grad is not None
    assert not edge.student.grad.any()

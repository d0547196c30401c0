import pytest
import torch
from torch import nn

from preceptor.errors import UserError
from preceptor.knowledge.feature.simkd import SimKDLoss
from preceptor.networks.outputs import Outputs

from ..networks import CNN, ODD_CNN, TRANSFORMER, WIDE_CNN, Edge, edge, made_up


def built(student_shape=CNN, teacher_shape=WIDE_CNN, batch: int = 4) -> tuple[Edge, SimKDLoss]:
    student = made_up(student_shape, "classification", batch=batch, classes=3)
    teacher = made_up(teacher_shape, "classification", batch=batch, classes=3, seed=1)
    one = edge("simkd", "classification", student, teacher, classes=3)
    assert isinstance(one.loss, SimKDLoss)
    return one, one.loss


def test_the_head_is_what_the_loss_trains_and_the_teachers_classifier() -> None:
    one, loss = built()
    head = loss.head()
    assert isinstance(head, nn.Sequential)
    parameters = {id(parameter) for parameter in head.parameters()}
    assert {id(parameter) for parameter in loss.projector.parameters()} <= parameters
    expected = loss.classifier(loss.projector(one.student).mean(dim=(2, 3)))
    torch.testing.assert_close(head(one.student), expected)


def test_the_head_is_made_of_plain_layers() -> None:
    plain = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear)
    for shapes in ((CNN, WIDE_CNN), (TRANSFORMER, WIDE_CNN)):
        _, loss = built(*shapes)
        assert all(type(layer) in plain for layer in loss.head())


def test_an_embedding_that_is_no_average_is_copied_itself() -> None:
    student = made_up(CNN, "classification", batch=4, classes=3)
    teacher = made_up(TRANSFORMER, "classification", batch=4, classes=3, seed=1)
    with_class_token = Outputs(teacher.logits, torch.randn(4, 12), teacher.maps)
    one = edge("simkd", "classification", student, with_class_token, classes=3)
    assert isinstance(one.loss, SimKDLoss)
    assert one.loss.copies_embedding
    assert one.loss.notes
    pooled = one.loss.projector(one.student).mean(dim=(2, 3))
    torch.testing.assert_close(one.value(), (pooled - with_class_token.embedding).square().mean())


def test_a_batch_of_one_position_is_refused() -> None:
    with pytest.raises(UserError, match="simkd on T->S1: the last map has one position"):
        built(ODD_CNN, WIDE_CNN, batch=1)

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.feature.feature_mse import FeatureMSELoss, feature_mse


def test_the_larger_map_is_averaged_first_by_hand() -> None:
    """Student 1, 2, 3, 4 averages 2.5; teacher 2: 0.25."""
    student = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert feature_mse(student, torch.full((1, 1, 1, 1), 2.0)).item() == 0.25


def test_embeddings_are_compared_as_they_are() -> None:
    assert feature_mse(torch.zeros(2, 3), torch.ones(2, 3)).item() == 1.0


def test_other_channels_are_refused_with_a_way_out() -> None:
    probe = Probe(
        edge="T->S1",
        task="classification",
        classes=2,
        batch_size=8,
        student=torch.zeros(1, 4, 2, 2),
        teacher=torch.zeros(1, 8, 2, 2),
    )
    with pytest.raises(UserError, match=r"T->S1: maps differ in channels: .*4, 2, 2.*8, 2, 2(.|\n)*adapter"):
        FeatureMSELoss().build(probe)

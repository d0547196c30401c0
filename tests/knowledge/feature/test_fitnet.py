import pytest
import torch
from torch import nn

from preceptor.knowledge.base import Probe
from preceptor.knowledge.feature.fitnet import FitNetLoss


@pytest.mark.parametrize(
    ("student", "teacher", "convolution"),
    [
        (8, 8, nn.Conv2d(3, 5, 1)),
        (8, 4, nn.Conv2d(3, 5, 3, stride=2, padding=1)),
        (4, 8, nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1)),
        (6, 4, nn.Conv2d(3, 5, 3)),
        (7, 4, nn.Conv2d(3, 5, 4)),
        (16, 4, nn.Conv2d(3, 5, 3, padding=1)),
        (4, 16, nn.Conv2d(3, 5, 3, padding=1)),
        (4, 7, nn.Conv2d(3, 5, 3, padding=1)),
    ],
)
def test_the_regressor_fits_the_sizes(student: int, teacher: int, convolution: nn.Conv2d) -> None:
    maps = torch.randn(2, 3, student, student), torch.randn(2, 5, teacher, teacher)
    loss = FitNetLoss()
    probe = Probe(
        edge="T->S1", task="classification", classes=2, batch_size=2, student=maps[0][:1], teacher=maps[1][:1]
    )
    loss.build(probe)
    assert str(loss.regressor[-3]) == str(convolution)
    predicted = loss.regressor(maps[0])
    assert predicted.shape == (2, 5, min(student, teacher) if teacher != 2 * student else teacher, predicted.shape[3])
    assert loss(*maps, torch.zeros(2, dtype=torch.int64)).isfinite()

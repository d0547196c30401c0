import math

import torch
import torch.nn.functional as F

from preceptor.knowledge.feature.vid import VIDLoss, gaussian_misfit

from ..networks import CNN, WIDE_CNN, edge, made_up


def test_misfit_by_hand() -> None:
    """Error 2 at variance 4 in one channel, none at variance 1 in the other: (4/4 + ln 4 + 0) / 2 / 2."""
    mean, teacher = torch.zeros(1, 2, 1, 1), torch.tensor([[[[2.0]], [[0.0]]]])
    actual = gaussian_misfit(mean, teacher, torch.tensor([4.0, 1.0]))
    torch.testing.assert_close(actual, torch.tensor((1.0 + math.log(4.0)) / 4))


def test_the_variance_starts_as_asked_and_learns() -> None:
    student = made_up(CNN, "classification", batch=2, classes=2)
    teacher = made_up(WIDE_CNN, "classification", batch=2, classes=2, seed=1)
    one = edge("vid", "classification", student, teacher, classes=2, options={"initial_variance": 3.0})
    assert isinstance(one.loss, VIDLoss)
    spread = one.loss.get_parameter("levels.0.spread")
    torch.testing.assert_close(F.softplus(spread) + 1e-5, torch.full_like(spread, 3.0))
    one.value().backward()
    assert spread.grad is not None
    assert spread.grad.abs().min() > 0

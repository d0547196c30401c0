import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.feature.mgd import MGDLoss, generation_error, kept

from ..networks import CNN, WIDE_CNN, edge, made_up


def test_masks_by_hand() -> None:
    uniform = torch.tensor([0.1, 0.2, 0.9])
    assert kept(uniform, ratio=0.15, mask="channel").tolist() == [0.0, 1.0, 1.0]
    assert kept(uniform, ratio=0.75, mask="pixel").tolist() == [1.0, 1.0, 0.0]


def test_the_error_is_a_sum_per_sample() -> None:
    assert generation_error(torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)).item() == 48.0


@pytest.mark.parametrize(
    ("task", "mask", "ratio"), [("classification", "channel", 0.15), ("segmentation", "pixel", 0.75)]
)
def test_each_task_masks_as_published(task, mask: str, ratio: float) -> None:
    networks = [made_up(shape, task, batch=2, classes=2, seed=seed) for seed, shape in enumerate((CNN, WIDE_CNN))]
    loss = edge("mgd", task, *networks, classes=2).loss
    assert isinstance(loss, MGDLoss)
    assert (loss.mask, loss.ratio) == (mask, ratio)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UserError, match="mgd: ratio must be at least 0 and below 1, got 1"):
        MGDLoss(ratio=1.0)

"""Channel-wise distillation."""

import math

import pytest
import torch

from preceptor.knowledge.mask.cwd import CWDLoss, channel_kl

from .edge import Edge, built


def test_two_places_by_hand() -> None:
    """The teacher looks at the first place with 3/4, the student at both alike."""
    teacher = torch.tensor([4.0 * math.log(3.0), 0.0]).view(1, 1, 1, 2)
    expected = 16.0 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    actual = channel_kl(torch.zeros(1, 1, 1, 2), teacher, temperature=4.0)
    torch.testing.assert_close(actual, torch.tensor([[expected]]))


def test_a_constant_added_to_a_channel_changes_nothing() -> None:
    student, teacher = torch.randn(2, 3, 5, 5), torch.randn(2, 3, 5, 5)
    moved = student + torch.tensor([5.0, -2.0, 0.5]).view(1, 3, 1, 1)
    before, after = (channel_kl(one, teacher, temperature=4.0) for one in (student, moved))
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize(("channels", "adapters"), [(6, 0), (4, 1)])
def test_maps_of_other_widths_get_an_adapter(channels: int, adapters: int) -> None:
    edge = Edge(torch.randn(2, channels, 4, 4), torch.randn(2, 6, 4, 4), torch.zeros(2, 4, 4))
    loss = built(CWDLoss(), edge)
    assert len(list(loss.parameters())) == adapters
    assert loss(edge.student, edge.teacher, edge.targets).isfinite()

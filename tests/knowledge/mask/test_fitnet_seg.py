"""Hints for masks."""

import torch
from torch import nn

from preceptor.knowledge.mask.fitnet_seg import FitNetSegLoss

from .edge import Edge, built


def test_the_adapter_by_hand() -> None:
    """Two channels added up and compared with 3: (1 + 4 - 3)² = 4."""
    student = torch.tensor([1.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    edge = Edge(student, torch.full((1, 1, 3, 3), 3.0), torch.zeros(1, 3, 3))
    loss = built(FitNetSegLoss(), edge)
    assert isinstance(loss, FitNetSegLoss)
    nn.init.ones_(loss.adapter.weight)

    assert loss(edge.student, edge.teacher, edge.targets).item() == 4.0
    assert loss.adapter.bias is None

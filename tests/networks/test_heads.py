"""Heads written down and read back."""

import json

import pytest
import torch
from torch import nn

from preceptor.networks.heads import describe, rebuild


def test_a_head_of_plain_layers_survives_json():
    head = nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(6, 2),
    ).eval()
    twin = rebuild(json.loads(json.dumps(describe(head)))).eval()
    twin.load_state_dict(head.state_dict())
    maps = torch.rand(2, 4, 5, 5)
    assert torch.equal(head(maps), twin(maps))
    assert str(head) == str(twin)


def test_other_layers_are_refused():
    with pytest.raises(TypeError, match="GELU cannot be saved"):
        describe(nn.Sequential(nn.GELU()))

import math

import pytest
import torch
from torch import nn

from preceptor.recipe import TrainingSpec
from preceptor.training.optim import learning_rate, make_optimizer


@pytest.mark.parametrize(
    ("schedule", "epoch", "expected"),
    [
        ({"schedule": "constant"}, 7.5, 1.0),
        ({"schedule": "step", "step_epochs": 5, "decay": 0.5}, 4.99, 1.0),
        ({"schedule": "step", "step_epochs": 5, "decay": 0.5}, 10.0, 0.25),
        ({"schedule": "cosine"}, 5.0, 0.5),
        ({"schedule": "cosine"}, 10.0, 0.0),
        ({"schedule": "polynomial", "power": 0.9}, 5.0, 0.5**0.9),
        ({"schedule": "cosine", "warmup_epochs": 2.0}, 1.0, 0.5),
        ({"schedule": "cosine", "warmup_epochs": 2.0}, 6.0, 0.5),
    ],
)
def test_learning_rate(schedule, epoch, expected):
    spec = TrainingSpec(lr=1.0, **schedule)
    assert math.isclose(learning_rate(spec, epoch, 10), expected, abs_tol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_one_optimiser_equals_one_per_network(optimizer):
    """Disjoint groups do not see each other."""

    def train(names):
        layers = {name: nn.Linear(3, 2) for name in names}
        for seed, name in enumerate(("a", "b")):
            if name in layers:
                nn.init.normal_(layers[name].weight, generator=torch.Generator().manual_seed(seed))
        spec = TrainingSpec(optimizer=optimizer, lr=0.1, weight_decay=0.01)
        step = make_optimizer({name: list(layer.parameters()) for name, layer in layers.items()}, spec)
        for _ in range(3):
            step.zero_grad()
            sum(layer.weight.square().sum() + layer.bias.sum() for layer in layers.values()).backward()
            step.step()
        return layers["a"].weight

    torch.testing.assert_close(train("ab"), train("a"), rtol=0, atol=0)

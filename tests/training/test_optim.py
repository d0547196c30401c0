import math

import pytest
import torch
from torch import nn

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Member
from preceptor.specs import TrainingSpec
from preceptor.training.optim import Group, learning_rate, make_optimizer, parameter_groups, set_rate


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
        step = make_optimizer([Group(list(layer.parameters())) for layer in layers.values()], spec)
        for _ in range(3):
            step.zero_grad()
            sum(layer.weight.square().sum() + layer.bias.sum() for layer in layers.values()).backward()
            step.step()
        return layers["a"].weight

    torch.testing.assert_close(train("ab"), train("a"), rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_weights_that_lie_channels_last_learn_the_same(optimizer):
    """Step by step, through a saved state, where one of them gets no gradient in a step."""
    spec = TrainingSpec(optimizer=optimizer, lr=0.1, weight_decay=0.01)

    def train(layouts):
        weights = [torch.randn(5, 7, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
        parameters = [nn.Parameter(w.to(memory_format=layouts[0])) for w in weights]
        step = make_optimizer([Group(parameters)], spec)
        for number in range(4):
            if number == 2:
                state = step.state_dict()
                assert all(
                    value.shape in ((), parameters[0].shape)
                    for values in state["state"].values()
                    for value in values.values()
                    if isinstance(value, torch.Tensor)
                )
                parameters = [nn.Parameter(p.detach().clone(memory_format=layouts[1])) for p in parameters]
                step = make_optimizer([Group(parameters)], spec)
                step.load_state_dict(state)
            step.zero_grad()
            sum((p**2 * p.cos()).sum() for p in parameters[: 1 + (number != 1)]).backward()
            step.step()
        return parameters

    plain, last = torch.contiguous_format, torch.channels_last
    for layouts in ((last, last), (plain, last), (last, plain)):
        for found, expected in zip(train(layouts), train((plain, plain)), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_members_have_rates_of_their_own(tiny):
    """A factor for a whole network, another for the parameters under one name, and adapters as their network."""
    networks = {"A": tiny(1), "B": tiny(2)}
    cohort = Cohort(
        task="classification",
        networks=networks,
        transfers=[],
        task_loss=nn.CrossEntropyLoss(),
        facts=DataFacts(classes=3, batch_size=4),
    )
    members = {
        "A": Member(network=NetworkUse(name="A", spec=None), lr={"": 1.0, "head": 10.0}),
        "B": Member(network=NetworkUse(name="B", spec=None), lr=0.1, weight_decay=0.5),
    }
    optimizer = make_optimizer(parameter_groups(cohort, members), TrainingSpec(weight_decay=0.2))
    set_rate(optimizer, 3.0)
    found = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == sum(1 for network in networks.values() for _ in network.parameters())
    assert found[id(networks["A"].convolution.weight)] == (3.0, 0.2)
    assert found[id(networks["A"].head.bias)] == (30.0, 0.2)
    assert found[id(networks["B"].head.bias)] == (pytest.approx(0.3), 0.1)

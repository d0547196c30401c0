import torch
from torch import nn

from preceptor.knowledge.blocks import AdapterNorm, FrozenClassifier, TeacherClassifier


def test_adapter_norm_is_batch_norm_but_for_one_value_per_channel() -> None:
    ours, theirs = AdapterNorm(3), nn.BatchNorm2d(3)
    maps = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(ours(maps), theirs(maps))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    single = torch.randn(1, 3, 1, 1)
    torch.testing.assert_close(ours(single), theirs.eval()(single))
    assert ours.num_batches_tracked == 1


def test_a_frozen_classifier_is_a_copy_that_never_trains() -> None:
    own = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))
    frozen = FrozenClassifier(own).train()
    nn.init.zeros_(own[1].weight)
    embedding = torch.ones(3, 4)
    assert frozen(embedding).abs().sum() > 0
    assert torch.equal(frozen(embedding), frozen(embedding))
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert own.training


def test_a_teachers_classifier_is_used_as_it_stands_and_gets_no_gradient() -> None:
    own = nn.Linear(4, 2)
    classify = TeacherClassifier(own)
    nn.init.zeros_(own.weight)
    embedding = torch.ones(3, 4, requires_grad=True)
    assert torch.equal(classify(embedding), own(embedding))
    nn.init.ones_(own.weight)
    classify(embedding).sum().backward()
    assert torch.equal(embedding.grad, torch.full((3, 4), 2.0))
    assert own.weight.grad is None

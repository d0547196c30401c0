"""What a frozen network says of an image depends on that image alone, bit for bit."""

from dataclasses import replace

import pytest
import torch

from preceptor.cohort.frozen import FixedSize, dense, lies_channels_last
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec


@pytest.fixture(scope="module")
def teacher():
    spec = NetworkSpec(architecture="resnet10t", weights="none")
    network = build_network(spec, task="classification", classes=("a", "b", "c"), image_size=(32, 32), seed=0)
    network.freeze()
    return network


def said(outputs):
    return {"logits": outputs.logits, "embedding": outputs.embedding, **outputs.maps}


@torch.no_grad()
def test_a_batch_of_any_size_gets_the_same_answers(teacher):
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ask = FixedSize(8)
    whole = said(ask.compute("T", teacher, images))
    for some in ([0], [3, 1, 6], [7, 6, 5, 4, 3, 2, 1, 0]):
        for tap, tensor in said(ask.compute("T", teacher, images[some])).items():
            assert torch.equal(tensor, whole[tap][some]), tap
            assert len(tensor) == len(some)


@torch.no_grad()
def test_an_empty_share_of_a_batch_gets_empty_answers(teacher):
    assert FixedSize(4).compute("T", teacher, torch.empty(0, 3, 32, 32)).logits.shape == (0, 3)


@torch.no_grad()
def test_asking_for_a_batch_is_computing_its_images(teacher):
    images, numbers = torch.rand(2, 3, 32, 32), torch.arange(2)
    batch = Batch(images=images, targets=numbers, positions=numbers, rows=numbers, whole=2)
    ask = FixedSize(4)
    assert torch.equal(ask("T", teacher, batch, 1).logits, ask.compute("T", teacher, images).logits)


@torch.no_grad()
def test_batches_that_lie_together_are_asked_about_once(teacher, monkeypatch):
    images, numbers = torch.rand(5, 3, 32, 32), torch.arange(5)
    asked = []
    forward = type(teacher).forward
    monkeypatch.setattr(type(teacher), "forward", lambda net, x: asked.append(len(x)) or forward(net, x))
    parts = [slice(0, 2), slice(2, 4), slice(4, 5)]
    batches = [
        Batch(images[p], numbers[p], numbers[p], numbers[p], whole=2, batch_group=images, start=p.start) for p in parts
    ]
    ask = FixedSize(2, batch_groups={"T": 4})
    answers = [said(ask("T", teacher, batch, 1)) for batch in batches]
    assert asked == [8]
    whole = said(ask.compute("T", teacher, images))
    for part, answer in zip(parts, answers, strict=True):
        for tap, tensor in answer.items():
            assert torch.equal(tensor, whole[tap][part]), tap
            assert tensor.is_contiguous() == whole[tap].is_contiguous()
    again = images.clone()
    ask("T", teacher, replace(batches[0], batch_group=again, images=again[:2]), 2)
    assert len(asked) == 3  # another group of batches, though of the same pixels
    ask("other", teacher, batches[0], 2)
    assert asked[-1] == 2


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_order_stays_and_gaps_go(layout):
    """Sums over a tensor with gaps, or with odd strides, may round otherwise."""
    maps = torch.rand(4, 5, 3, 2).contiguous(memory_format=layout)
    assert dense(maps).stride() == maps.stride()
    gappy = torch.rand(4, 9, 6)[:, 1:7].transpose(1, 2)
    assert not gappy.is_contiguous()
    assert dense(gappy).is_contiguous()
    assert torch.equal(dense(gappy), gappy)
    assert lies_channels_last(maps) == (layout == torch.channels_last)


@torch.no_grad()
def test_rounding_is_to_float16_and_refuses_what_that_cannot_hold(teacher):
    images = torch.rand(2, 3, 32, 32)
    exact, rounded = (FixedSize(2, rounds=flag).compute("T", teacher, images) for flag in (False, True))
    assert torch.equal(rounded.logits, exact.logits.half().float())
    assert rounded.logits.dtype == torch.float32
    with pytest.raises(UserError, match=r"float16: T's logits goes beyond"):
        FixedSize(2, rounds=True)._settle("T's logits", torch.full((1, 2), 1e6))

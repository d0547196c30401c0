from typing import get_args

import pytest
import torch

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.transfer import Transfer
from preceptor.composed import load_network
from preceptor.composed.base import standing
from preceptor.composed.committee import Committee
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.knowledge.logits.integration import integrated_logits, teacher_weights
from preceptor.knowledge.logits.soft_target import SoftTargetLoss, soft_target_kl
from preceptor.networks.build import build_network
from preceptor.networks.outputs import Outputs
from preceptor.specs import Integration, NetworkSpec

SCHEMES = get_args(Integration)
SCORES = {"T1": 0.9, "T2": 0.8, "T3": 0.7}


@pytest.fixture
def committee(tiny):
    """``committee(3, "ce", ...)`` of tiny teachers."""

    def make(count=3, integration="average", temperature=4.0, **more):
        sources = {f"T{number}": tiny(number) for number in range(1, count + 1)}
        made = Committee(sources, integration=integration, temperature=temperature, **more)
        if made.wants_scores:
            made.take_scores({name: SCORES[name] for name in sources})
        return made

    return make


def said(*logits, embedding=None):
    return {
        f"T{number}": Outputs(one, torch.zeros(len(one), 2) if embedding is None else embedding)
        for number, one in enumerate(logits, start=1)
    }


def draw(*shape, seed=0):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("integration", SCHEMES)
def test_softened_it_is_the_integrated_logits(committee, integration):
    logits, labels = draw(3, 6, 3), torch.arange(6) % 3
    accuracies = torch.tensor(list(SCORES.values()))
    weights = teacher_weights(integration, logits, temperature=4.0, targets=labels, accuracies=accuracies)
    found = committee(integration=integration).combine(said(*logits), labels).logits
    torch.testing.assert_close(
        (found / 4.0).softmax(1), (integrated_logits(logits, weights, temperature=4.0) / 4.0).softmax(1)
    )


def test_two_sure_teachers_that_disagree_by_hand(committee):
    """(3/4, 1/4) and (1/4, 3/4) at T = 2 make (1/2, 1/2), and the one with 4 times the weight makes (13/20, 7/20)."""
    first = 2.0 * torch.tensor([[3.0, 1.0]]).log()
    second = first.flip(1)
    even = committee(2, temperature=2.0).combine(said(first, second)).logits
    torch.testing.assert_close((even / 2.0).softmax(1), torch.tensor([[0.5, 0.5]]))
    uneven = committee(2, "val_acc", 2.0, power=2.0)
    uneven.take_scores({"T1": 0.8, "T2": 0.4})
    found = uneven.combine(said(first, second)).logits
    torch.testing.assert_close((found / 2.0).softmax(1), torch.tensor([[0.65, 0.35]]))


@pytest.mark.parametrize("integration", SCHEMES)
def test_one_teacher_passes_through_exactly(committee, integration):
    logits, embedding = 100 * draw(5, 3), draw(5, 4, seed=1)
    found = committee(1, integration).combine(said(logits, embedding=embedding), torch.zeros(5, dtype=torch.long))
    assert torch.equal(found.logits, logits)
    assert torch.equal(found.embedding, embedding)


@pytest.mark.parametrize("integration", SCHEMES)
def test_pixels_are_samples(committee, integration):
    """A mask's pixels weighed one by one are as many samples."""
    logits, labels = draw(3, 2, 3, 4, 5), torch.randint(3, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    pixels = logits.permute(0, 1, 3, 4, 2).reshape(3, 40, 3)
    whole = committee(integration=integration).combine(said(*logits), labels).logits
    single = committee(integration=integration).combine(said(*pixels), labels.flatten()).logits
    torch.testing.assert_close(whole.permute(0, 2, 3, 1).reshape(40, 3), single)


@pytest.mark.parametrize("integration", SCHEMES)
def test_a_single_foreground_channel_stays_one(committee, integration):
    z, labels = draw(2, 2, 1, 3, 3), torch.randint(2, (2, 3, 3), generator=torch.Generator().manual_seed(1))
    pairs = torch.cat([torch.zeros_like(z), z], dim=2)
    found = committee(2, integration).combine(said(*z), labels).logits
    both = committee(2, integration).combine(said(*pairs), labels).logits
    assert found.shape == (2, 1, 3, 3)
    torch.testing.assert_close(found[:, 0], both[:, 1] - both[:, 0])


@pytest.mark.parametrize("integration", ["ce", "correct_only"])
def test_without_labels_teachers_weigh_equally(committee, integration):
    logits = draw(3, 6, 3)
    labelled = committee(integration=integration).combine(said(*logits), torch.arange(6) % 3).logits
    found = committee(integration=integration).combine(said(*logits)).logits
    torch.testing.assert_close(found, committee().combine(said(*logits)).logits, rtol=0, atol=0)
    assert not torch.allclose(found, labelled)


@pytest.mark.parametrize("integration", ["ce", "correct_only"])
def test_so_they_do_at_the_pixels_of_an_image_without_a_mask(committee, integration):
    logits = draw(3, 2, 3, 4, 4)
    targets = (torch.arange(32) % 3).view(2, 4, 4)
    labelled = committee(integration=integration).combine(said(*logits), targets).logits
    targets[1] = -1
    found = committee(integration=integration).combine(said(*logits), targets).logits
    equally = committee().combine(said(*logits)).logits
    torch.testing.assert_close(found[1], equally[1], rtol=0, atol=0)
    torch.testing.assert_close(found[0], labelled[0], rtol=0, atol=0)
    assert not torch.allclose(found[0], equally[0])


@pytest.mark.parametrize("integration", SCHEMES)
def test_finite_for_extreme_teachers(committee, integration):
    logits = torch.tensor([[[1e4, -1e4, 0.0]], [[-1e4, 1e4, 0.0]], [[1e4, -1e4, 0.0]]])
    found = committee(integration=integration).combine(said(*logits), torch.tensor([0])).logits
    assert found.isfinite().all()
    assert found.argmax(1).item() == 0


def test_half_precision_is_mixed_in_full(committee):
    logits = draw(2, 5, 3).bfloat16()
    found = committee(2).combine(said(*logits)).logits
    torch.testing.assert_close(found, committee(2).combine(said(*logits.float())).logits)


def test_scores_that_are_missing_are_named(tiny):
    sources = {"T1": tiny(1), "T2": tiny(2)}
    with pytest.raises(UserError, match="val_acc needs each teacher's validation accuracy"):
        Committee(sources, integration="val_acc", temperature=4.0).combine(said(*draw(2, 5, 3)))


def test_an_edge_from_it_is_distillation_from_the_integrated_logits(tiny):
    """In a cohort, with the batch's labels; nothing flows back to the teachers."""
    teachers = {"T1": tiny(1), "T2": tiny(2)}
    committee = Committee(teachers, integration="ce", temperature=4.0)
    for network in (*teachers.values(), committee):
        network.freeze()
    student = tiny(3)
    cohort = Cohort(
        task="classification",
        networks={**teachers, "T": committee, "S1": student},
        transfers=[Transfer(source="T", target="S1", loss=SoftTargetLoss(4.0))],
        task_loss=torch.nn.CrossEntropyLoss(),
        facts=DataFacts(classes=3, batch_size=4),
    ).train()
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0])
    batch = Batch(images=images, targets=labels, positions=torch.arange(4), rows=torch.arange(4), whole=4)
    found = cohort(batch, 1, 0)["T->S1/kd"]
    logits = torch.stack([teacher(images).logits for teacher in teachers.values()])
    target = integrated_logits(logits, teacher_weights("ce", logits, temperature=4.0, targets=labels), temperature=4.0)
    torch.testing.assert_close(found, soft_target_kl(student(images).logits, target, temperature=4.0))
    assert [*cohort.learners] == ["S1"]
    assert standing(cohort.networks)["T"](images).embedding.shape == (4, 8)


def test_saved_and_loaded(tmp_path):
    """Unlike teachers, each preparing its own input; the measured scores are kept."""
    build = {"task": "classification", "classes": ("a", "b", "c"), "image_size": (32, 32)}
    specs = [
        NetworkSpec(architecture="test_resnet", weights="none", input_size=48),
        NetworkSpec(architecture="test_vit", weights="none", mean=(0.5, 0.5, 0.5)),
    ]
    sources = {f"T{k}": build_network(spec, seed=k, **build) for k, spec in enumerate(specs, start=1)}
    whole = Committee(sources, integration="val_acc", temperature=4.0)
    whole.take_scores({"T1": 0.8, "T2": 0.81})
    whole = whole.alone(sources).eval()
    whole.save(tmp_path / "T")
    images = torch.rand(2, 3, 32, 32)
    again = load_network(tmp_path / "T")
    torch.testing.assert_close(again(images).logits, whole(images).logits, rtol=0, atol=0)
    assert again.parameters_count() == sum(source.parameters_count() for source in sources.values())


@pytest.mark.parametrize(("other", "message"), [("bac", "the same ones in another order"), ("abd", "other classes")])
def test_teachers_with_other_classes_are_refused(other, message):
    spec = NetworkSpec(architecture="test_resnet", weights="none")
    sources = {
        name: build_network(spec, seed=0, task="classification", classes=tuple(classes), image_size=(32, 32))
        for name, classes in (("T1", "abc"), ("T2", other))
    }
    with pytest.raises(UserError, match=f"T2 has other classes than T1.*{message}|{message}"):
        Committee(sources, integration="average", temperature=4.0)

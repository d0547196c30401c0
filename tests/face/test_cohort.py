"""A cohort of one's own modules: terms, building, what is refused."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import preceptor as pc
from preceptor.errors import UserError

from .nets import Small

IMAGES, LABELS = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


def cohort(edges=None, **more):
    torch.manual_seed(0)
    edges = edges or [pc.teach("T", "A", pc.SoftTarget(4), weight=0.8), *pc.mutual(["A", "B"], pc.SoftTarget(1), 0.5)]
    return pc.Cohort({"T": pc.frozen(Small(5)), "A": Small(4), "B": Small(4)}, edges, nn.CrossEntropyLoss(), **more)


def hinted(**more):
    return cohort([pc.teach("T", "A", pc.FitNet(), tap="body.2")], **more)


def test_terms_are_the_losses_times_their_weights():
    together = cohort(probe=IMAGES).eval()
    terms = together(IMAGES, LABELS)
    assert set(terms) == {"A/task", "B/task", "T->A/soft_target", "A->B/soft_target", "B->A/soft_target"}
    a, teacher = together.learners["A"], cohort().build(IMAGES).eval()
    assert torch.allclose(terms["A/task"], F.cross_entropy(a(IMAGES), LABELS))
    assert torch.allclose(terms["T->A/soft_target"], teacher(IMAGES, LABELS)["T->A/soft_target"])
    taught = pc.SoftTarget(1)(a(IMAGES), together.learners["B"](IMAGES))
    assert torch.allclose(terms["B->A/soft_target"], 0.5 * taught)


@pytest.mark.parametrize("ask", ["parameters", "named_parameters", "state_dict"])
def test_before_a_batch_was_seen_there_are_no_parameters(ask):
    with pytest.raises(UserError, match="probe=images"):
        getattr(hinted(), ask)()
    with pytest.raises(UserError, match="probe=images"):
        hinted().load_state_dict({})


@pytest.mark.parametrize("build", [lambda: hinted(probe=IMAGES), lambda: hinted().build(IMAGES)])
def test_adapters_are_there_for_the_optimiser(build):
    names = [name for name, _ in build().named_parameters()]
    assert any("regressor" in name for name in names)
    assert not any(".T." in name for name in names)


def test_the_first_call_builds_it_and_building_draws_nothing():
    together = hinted()
    before = torch.get_rng_state()
    together.build(IMAGES)
    assert torch.equal(torch.get_rng_state(), before)
    assert set(hinted()(IMAGES, LABELS)) == {"A/task", "B/task", "T->A/fitnet@body.2"}


def test_a_copy_trains_by_itself():
    together = hinted(probe=IMAGES)
    twin = deepcopy(together)
    sum(twin(IMAGES, LABELS).values()).backward()
    assert all(parameter.grad is None for parameter in together.parameters())
    together.load_state_dict(twin.state_dict())


def test_frozen_modules_learn_nothing_and_stay_in_eval_mode():
    teacher = Small(5)
    together = pc.Cohort(
        {"T": pc.frozen(teacher), "A": Small(4)}, [pc.teach("T", "A", pc.SoftTarget())], F.cross_entropy, probe=IMAGES
    )
    together.train()
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_one_channel_and_masks():
    class Masks(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Conv2d(1, 1, 1)

        def forward(self, images):
            return {"out": self.out(images)}

    targets = torch.zeros(2, 8, 8).long()
    together = pc.Cohort(
        {"T": pc.frozen(Masks()), "A": Masks()},
        [pc.teach("T", "A", pc.SegKD())],
        lambda logits, targets: F.binary_cross_entropy_with_logits(logits[:, 0], targets.float()),
        probe=torch.rand(2, 1, 8, 8),
    )
    assert together.task == "segmentation"
    assert set(together(torch.rand(2, 1, 8, 8), targets)) == {"A/task", "T->A/seg_kd"}


def test_double_precision_and_moving_reach_the_frozen_ones():
    for together in (hinted(probe=IMAGES).double(), hinted().double()):
        assert together(IMAGES.double(), LABELS)["A/task"].isfinite()
        assert next(together.inner.frozen["T"].parameters()).dtype == torch.float64


def test_a_loss_that_remembers_wants_ids_and_labels():
    together = cohort([pc.teach("T", "A", pc.CRD(negatives=4))], train_labels=torch.arange(9) % 3, probe=IMAGES)
    with pytest.raises(UserError, match="ids="):
        together(IMAGES, LABELS)
    assert together(IMAGES, LABELS, ids=torch.arange(6))["T->A/crd"].isfinite()


shared = pc.SoftTarget()


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([pc.teach("T", "C", pc.SoftTarget())], "no network 'C'"),
        ([pc.teach("A", "T", pc.SoftTarget())], "frozen"),
        ([pc.teach("T", "A", pc.FitNet(), tap="body.7")], r"\(Small\) has no module 'body.7'; near are body"),
        ([pc.teach("T", "A", pc.FitNet())], 'tap="layer3"'),
        ([pc.teach("T", "A", pc.NST())], "Name what NST compares"),
        ([pc.teach("T", "A", pc.CWD())], "is for segmentation"),
        ([pc.teach("T", "A", shared), pc.teach("T", "B", shared)], "a loss of its own"),
        ([pc.teach("T", "A", pc.FitNet().build(student=(4, 8, 8), teacher=(5, 8, 8)), tap="body.2")], "in use already"),
        (["T->A"], r"made by teach\(…\)"),
    ],
)
def test_edges_that_cannot_be(edges, words):
    with pytest.raises(UserError, match=words):
        cohort(edges, probe=IMAGES)


def test_arguments_that_cannot_be():
    for wrong, words in [
        (lambda: pc.teach("T", "A", pc.SoftTarget), "not the class"),
        (lambda: pc.teach("T", "A", nn.MSELoss()), "got MSELoss"),
        (lambda: pc.mutual(["A"], pc.SoftTarget()), "two or more"),
        (lambda: pc.frozen("T"), "got str"),
        (lambda: pc.Cohort({"T": pc.frozen(Small(4))}, [], F.cross_entropy), "at least one network that learns"),
        (lambda: pc.Cohort({"a.b": Small(4)}, [], F.cross_entropy), "letters, digits"),
        (lambda: cohort(task_weights={"T": 1.0}), "task_weights"),
        (lambda: cohort(probe=torch.rand(3, 12, 12)), "got the shape"),
        (lambda: cohort(probe=IMAGES).build(IMAGES), "built already"),
    ]:
        with pytest.raises(UserError, match=words):
            wrong()

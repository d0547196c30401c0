"""Every knowledge loss as a class of the face: table, calls, building, refusals."""

import pickle

import pytest
import torch
from torch import nn

import preceptor as pc
from preceptor.errors import UserError
from preceptor.face import losses as table
from preceptor.face.standalone import Standalone
from preceptor.knowledge import catalogue

KINDS = {getattr(pc, name).kind.key: getattr(pc, name) for name in table.__all__}


def shapes(tap, width, task):
    """Shapes of what a loss compares at its published taps."""
    stages = [(width, 16, 16), (2 * width, 8, 8), (4 * width, 4, 4)]
    at = {
        "logits": (3,) if task == "classification" else (3, 16, 16),
        "embedding": (4 * width,),
        "last": (4 * width, 4, 4),
    }
    found = []
    for one in (tap,) if isinstance(tap, str) else tap:
        found += stages if one == "stages" else [at.get(one, (width, 8, 8))]
    return found[0] if isinstance(tap, str) and tap != "stages" else found


def tensors(shape):
    generator = torch.Generator().manual_seed(0)
    several = shape if isinstance(shape, list) else [shape]
    found = tuple(torch.rand(16, *one, generator=generator) for one in several)
    return found if isinstance(shape, list) else found[0]


def test_the_table_has_every_loss_of_the_catalogue():
    assert set(KINDS) == set(catalogue.losses())
    assert len(table.__all__) == len(KINDS)


@pytest.mark.parametrize("key", sorted(catalogue.losses()))
def test_what_needs_shapes_is_what_makes_parameters(key):
    entry = catalogue.losses()[key]
    task, setting = next(iter(entry.settings.items()))
    width = 8 if key in ("feature_mse", "exit_features") else 6  # which compare equal widths only
    student = shapes(setting.student_tap, width, task)
    teacher = shapes(setting.teacher_tap or setting.student_tap, 8, task)
    loss = KINDS[key](**({"holistic": True} if key == "skd" else {}))
    more = {"batch_size": 16} if loss.loss.keeps_batch else {}
    labels = torch.arange(16) % 3
    built = loss.build(
        student=student, teacher=teacher, classes=3, teacher_classifier=nn.Linear(32, 3), train_labels=labels, **more
    )
    assert built is loss
    assert loss.kind.needs_shapes == (bool([*loss.parameters()]) or key == "ifvd")
    targets = labels if task == "classification" else torch.randint(3, (16, 16, 16))
    value = loss(tensors(student), tensors(teacher), targets, ids=torch.arange(16))
    assert value.ndim == 0
    assert value.isfinite()


def test_options_by_place_and_by_name_are_those_of_recipes():
    assert pc.SoftTarget(2).loss.temperature == pc.SoftTarget(temperature=2).loss.temperature == 2.0
    for wrong, words in [
        (lambda: pc.SoftTarget(temprature=2), "did you mean 'temperature'"),
        (lambda: pc.SoftTarget("hot"), "wants float"),
        (lambda: pc.SoftTarget(4, temperature=4), "given twice"),
        (lambda: pc.NST(1), "takes 0 options"),
    ]:
        with pytest.raises(UserError, match=words):
            wrong()


def test_a_loss_is_called_as_it_is_in_a_cohort():
    student, teacher = torch.randn(5, 3), torch.randn(5, 3)
    expected = catalogue.load(catalogue.losses()["kd"])(temperature=4.0)(student, teacher, torch.zeros(5).long())
    assert torch.equal(pc.SoftTarget(4)(student, teacher), expected)
    assert torch.equal(pickle.loads(pickle.dumps(pc.SoftTarget(4)))(student, teacher), expected)


def test_a_loss_that_looks_at_the_answers_says_so():
    logits = torch.randn(5, 3)
    with pytest.raises(UserError, match=r"loss\(student, teacher, targets\)"):
        pc.DKD()(logits, logits)
    assert pc.DKD()(logits, logits, torch.tensor([0, 1, 2, 0, 1])).isfinite()


@pytest.mark.parametrize("ask", [lambda loss: loss.parameters(), lambda loss: loss.named_parameters()])
def test_parameters_of_what_is_not_built_are_refused_with_what_to_do(ask):
    with pytest.raises(UserError, match=r"FitNet\(\)\.build\(student=\(256, 8, 8\), teacher=\(512, 8, 8\)\)"):
        ask(pc.FitNet())
    assert list(pc.SoftTarget().parameters()) == []


def test_a_call_before_building_names_the_shapes():
    with pytest.raises(UserError, match=r"build\(student=\(4, 8, 8\), teacher=\(6, 8, 8\)\)"):
        pc.FitNet()(torch.rand(2, 4, 8, 8), torch.rand(2, 6, 8, 8))


def test_other_widths_than_those_it_was_built_for_are_refused():
    hint = pc.FitNet().build(student=(4, 8, 8), teacher=(6, 8, 8))
    with pytest.raises(UserError, match=r"a student of 4 channels, got the shape \(5, 8, 8\)"):
        hint(torch.rand(2, 5, 8, 8), torch.rand(2, 6, 8, 8))
    with pytest.raises(UserError, match="in use already"):
        hint.build(student=(5, 8, 8), teacher=(6, 8, 8))


@pytest.mark.parametrize(("make", "words"), [(pc.SemCKD, "batch_size="), (pc.IFVD, "classes=")])
def test_what_else_a_loss_must_know_is_asked_for(make, words):
    with pytest.raises(UserError, match=words):
        make().build(student=(4, 8, 8), teacher=(4, 8, 8))


def test_it_is_a_module_that_knows_its_own_paper():
    assert isinstance(pc.FitNet(), Standalone)
    assert "Romero" in (pc.FitNet.__doc__ or "")

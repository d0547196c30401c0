"""What holds for every knowledge loss of the catalogue, in each task that it serves."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.knowledge.base import Probe
from preceptor.knowledge.logits.ofa import adaptive_target_cross_entropy
from preceptor.networks.outputs import Outputs
from preceptor.specs import Task

from .networks import CNN, SHAPES, TRANSFORMER, WIDE_CNN, Edge, Shape, changed, edge, made_up, tensors

CASES = [(key, task) for key, entry in catalogue.losses().items() for task in entry.settings]
SMALL = {"crd": {"negatives": 20, "width": 8}, "semckd": {"widest": 8}}
"""Options that keep the tests quick."""

PERFECT = (
    "kd",
    "feature_mse",
    "exit_features",
    "at",
    "sp",
    "rkd",
    "pkt",
    "nst",
    "dkd",
    "dist",
    "logit_std_kd",
    "grafting",
    "token_kl",
)
PERFECT_ON_MASKS = ("kd", "feature_mse", "at", "seg_kd", "dist_seg", "cwd", "ifvd", "dsd", "emkd", "token_kl")
EPSILON_BESIDE_NORMS = ("dist", "dist_seg")
"""Equal answers correlate a little less than fully, as in their reference."""
PLACE_IN_BATCH_MATTERS = ("cc", "semckd", "mgd", "crd", "queue_kl")
"""Consecutive samples, layers sized by the batch, random masks, random negatives, a queue."""

UNLIKE = [("cnn", "wide"), ("cnn", "transformer"), ("transformer", "wide"), ("odd", "wide"), ("wide", "odd")]

every_loss = pytest.mark.parametrize(("key", "task"), CASES)
quick = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.differing_executors], derandomize=True
)


def made(
    key: str,
    task: Task,
    *,
    student: str = "cnn",
    teacher: str = "wide",
    batch: int = 4,
    classes: int = 3,
    change: Callable[[Tensor], Tensor] | None = None,
    teacher_change: Callable[[Tensor], Tensor] | None = None,
    targets: Tensor | None = None,
) -> Edge:
    """The loss between two made-up networks, whose tensors may be changed."""
    outputs = made_up(SHAPES[student], task, batch=batch, classes=classes)
    teachers = made_up(_teacher(student, teacher, key), task, batch=batch, classes=classes, seed=1)
    outputs = changed(outputs, change) if change else outputs
    teachers = changed(teachers, teacher_change) if teacher_change else teachers
    return edge(key, task, outputs, teachers, classes=classes, options=SMALL.get(key), targets=targets)


def _teacher(student: str, teacher: str, key: str) -> Shape:
    """Some losses have no adapter and want equal channels."""
    return SHAPES[student if key in ("feature_mse", "exit_features") else teacher]


def gradients(one: Edge) -> tuple[Tensor, list[Tensor | None]]:
    """Value, and its gradients for the student's tensors and the adapters."""
    learning = [tensor.requires_grad_() for tensor in tensors(one.student)]
    learning += [parameter for parameter in one.loss.parameters() if parameter.requires_grad]
    value = one.value()
    return value, list(torch.autograd.grad(value, learning, allow_unused=True))


def assert_finite(one: Edge) -> None:
    value, found = gradients(one)
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in found if gradient is not None)


@every_loss
@quick
@given(
    size=st.sampled_from([1e4, -1e4, 1e-3, 1e-20]),
    teacher_size=st.sampled_from([1e4, -1e4, 1.0]),
    classes=st.sampled_from([3, 5]),
)
def test_finite_for_extreme_values(key: str, task: Task, size: float, teacher_size: float, classes: int) -> None:
    scaled = made(key, task, classes=classes, change=lambda x: x * size, teacher_change=lambda x: x * teacher_size)
    assert_finite(scaled)
    saturated = made(key, task, classes=classes, change=lambda x: x.sign() * size)
    assert_finite(saturated)


@every_loss
@pytest.mark.parametrize("value", [0.0, 1.0, -1e4])
def test_finite_for_constant_maps(key: str, task: Task, value: float) -> None:
    def constant(tensor: Tensor) -> Tensor:
        return torch.full_like(tensor, value)

    assert_finite(made(key, task, change=constant))
    assert_finite(made(key, task, change=constant, teacher_change=constant))


@every_loss
@pytest.mark.parametrize("student", ["cnn", "odd"])
def test_a_batch_of_one_is_finite_or_refused(key: str, task: Task, student: str) -> None:
    try:
        one = made(key, task, student=student, batch=1)
    except UserError as error:
        assert "batch" in str(error)  # noqa: PT017
    else:
        assert_finite(one)


@every_loss
def test_a_last_batch_of_one_is_finite(key: str, task: Task) -> None:
    """Built for batches of four; losses that cannot bear another size have incomplete batches dropped."""
    whole = made(key, task)
    if whole.loss.keeps_batch:
        pytest.skip("incomplete batches are dropped")
    student, teacher = (
        tuple(x[:1] for x in side) if isinstance(side, tuple) else side[:1] for side in (whole.student, whole.teacher)
    )
    more = {name: value[:1] for name, value in whole.more.items()}
    assert_finite(Edge(whole.loss, student, teacher, whole.targets[:1], more))


@pytest.mark.parametrize("key", [key for key, task in CASES if task == "segmentation"])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("classes", [2, 3])
def test_masks_of_one_class_are_finite(key: str, label: int, classes: int) -> None:
    masks = torch.full((2, 16, 16), label)
    assert_finite(made(key, "segmentation", batch=2, classes=classes, targets=masks))


@every_loss
@pytest.mark.parametrize(("student", "teacher"), UNLIKE)
def test_unlike_architectures_teach_each_other(key: str, task: Task, student: str, teacher: str) -> None:
    """The student's tensors and every adapter parameter get a gradient; the teacher's tensors get none."""
    if (key, teacher) == ("token_kl", "odd"):
        pytest.skip("its last map has one position, which the loss refuses")
    one = made(key, task, student=student, teacher=teacher, batch=8)
    before = [tensor.clone() for tensor in tensors(one.teacher)]

    value, found = gradients(one)

    assert value.isfinite()
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in found)
    names = [name for name, parameter in one.loss.named_parameters() if parameter.requires_grad]
    adapters = found[len(tensors(one.student)) :]
    unmoved = [n for n, g in zip(names, adapters, strict=True) if g is None or g.abs().sum() == 0]
    assert not unmoved, unmoved
    for kept, tensor in zip(before, tensors(one.teacher), strict=True):
        assert tensor.grad is None
        assert torch.equal(kept, tensor)


@every_loss
def test_a_teacher_that_learns_gets_a_gradient(key: str, task: Task) -> None:
    """Whether the source learns is the transfer's choice, so a loss never detaches it."""
    one = made(key, task)
    teachers = [tensor.requires_grad_() for tensor in tensors(one.teacher)]
    found = torch.autograd.grad(one.value(), teachers, allow_unused=True)
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in found)


@every_loss
def test_autocast_changes_nothing(key: str, task: Task) -> None:
    plain = made(key, task).value()
    one = made(key, task)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(one.value(), plain)
    half = made(key, task, change=Tensor.bfloat16, teacher_change=Tensor.bfloat16)
    assert half.value().dtype == torch.float32


@every_loss
@quick
@given(order=st.permutations(range(4)))
def test_the_order_of_the_batch_does_not_matter(key: str, task: Task, order: list[int]) -> None:
    if key in PLACE_IN_BATCH_MATTERS:
        return
    plain = made(key, task)
    shuffled = made(
        key, task, change=lambda x: x[order], teacher_change=lambda x: x[order], targets=plain.targets[order]
    )
    torch.testing.assert_close(shuffled.value(), plain.value(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("key", "task"),
    [(key, "classification") for key in PERFECT] + [(key, "segmentation") for key in PERFECT_ON_MASKS],
)
@quick
@given(seed=st.integers(0, 2**16), shape=st.sampled_from([CNN, TRANSFORMER]))
def test_a_perfect_student_has_nothing_to_learn(key: str, task: Task, seed: int, shape: Shape) -> None:
    teacher = changed(made_up(shape, task, batch=4, classes=3, seed=seed), Tensor.double)
    one = edge(key, task, changed(teacher, Tensor.clone), teacher, classes=3)
    one.loss.double()
    value, found = gradients(one)
    more = 1e4 if key in EPSILON_BESIDE_NORMS else 1.0
    assert abs(value.item()) < more * 1e-9
    for tensor, gradient in zip(tensors(one.student), found, strict=False):
        assert gradient is None or (gradient * tensor).abs().max() < more * 1e-6


def test_ofa_with_an_exponent_of_one_is_stationary_at_the_teacher() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64)
    student = logits.clone().requires_grad_()
    labels = torch.arange(4) % 3
    adaptive_target_cross_entropy(student, logits, labels, exponent=1.0, temperature=1.0).backward()
    torch.testing.assert_close(student.grad, torch.zeros_like(logits), rtol=0.0, atol=1e-12)


SCALE_FREE = [("at", "classification"), ("sp", "classification"), ("rkd", "classification"), ("pkt", "classification")]
SCALE_FREE += [("nst", "classification"), ("logit_std_kd", "classification"), ("at", "segmentation")]


@pytest.mark.parametrize(("key", "task"), SCALE_FREE)
@quick
@given(scale=st.floats(0.1, 100.0))
def test_scale_of_the_student_does_not_matter(key: str, task: Task, scale: float) -> None:
    plain, scaled = made(key, task).value(), made(key, task, change=lambda x: x * scale).value()
    torch.testing.assert_close(scaled, plain, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("key", "task"),
    [(key, "classification") for key in ("kd", "dkd", "nkd", "dist", "logit_std_kd")]
    + [(key, "segmentation") for key in ("kd", "seg_kd", "dist_seg")],
)
@quick
@given(shift=st.floats(-50.0, 50.0))
def test_a_constant_added_to_the_logits_does_not_matter(key: str, task: Task, shift: float) -> None:
    plain, shifted = made(key, task).value(), made(key, task, change=lambda x: x + shift).value()
    torch.testing.assert_close(shifted, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("key", ["at", "nst", "sp", "rkd", "pkt"])
@quick
@given(seed=st.integers(0, 2**16))
def test_the_order_of_channels_does_not_matter(key: str, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)

    def mixed(tensor: Tensor) -> Tensor:
        return tensor[:, torch.randperm(tensor.shape[1], generator=draw)]

    plain, shuffled = made(key, "classification").value(), made(key, "classification", change=mixed).value()
    torch.testing.assert_close(shuffled, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("key", ["sp", "rkd", "cc", "pkt", "semckd"])
def test_losses_over_a_batch_refuse_a_batch_of_one(key: str) -> None:
    with pytest.raises(UserError, match=rf"{key} on T->S1 .* needs at least \d; training.batch_size gives 1"):
        made(key, "classification", batch=1)


def test_two_classes_are_refused_where_nothing_is_left() -> None:
    with pytest.raises(UserError, match="logit_std_kd on T->S1 has no signal with two classes"):
        made("logit_std_kd", "classification", classes=2)
    with pytest.raises(UserError, match="dist on T->S1 has no signal"):
        made("dist", "classification", classes=2, batch=2)


@pytest.mark.parametrize("key", ["dkd", "nkd", "dist"])
def test_two_classes_are_noted_where_something_is_left(key: str) -> None:
    assert "two classes" in " ".join(made(key, "classification", classes=2).loss.notes)
    assert not made(key, "classification", classes=3).loss.notes


def test_simkd_copies_the_teachers_classifier_which_never_changes() -> None:
    one = made("simkd", "classification")
    one.loss.train()
    frozen = [p for name, p in one.loss.named_parameters() if name.startswith("classifier")]
    assert frozen
    assert not any(parameter.requires_grad for parameter in frozen)
    assert not any(m.training for name, m in one.loss.named_modules() if name.startswith("classifier"))


def test_wrong_taps_are_refused_in_the_users_words() -> None:
    outputs: Outputs = made_up(WIDE_CNN, "classification", batch=4, classes=3)
    for key, entry in catalogue.losses().items():
        if "classification" not in entry.settings:
            continue
        loss = catalogue.load(entry)()
        wrong = (outputs.logits, outputs.logits, outputs.maps["last"][:, :, 0])
        with pytest.raises(UserError, match=f"{key} on T->S1"):
            loss.build(
                Probe(edge="T->S1", task="classification", classes=3, batch_size=4, student=wrong, teacher=wrong[:2])
            )

"""What holds for every loss on masks."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from preceptor.data.samples import UNKNOWN
from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.knowledge.base import Loss
from preceptor.knowledge.mask.cwd import CWDLoss
from preceptor.knowledge.mask.dist_seg import DISTSegLoss
from preceptor.knowledge.mask.dsd import DSDLoss
from preceptor.knowledge.mask.emkd import EMKDLoss
from preceptor.knowledge.mask.fdwa_dkd import FDWAStyleLoss
from preceptor.knowledge.mask.fitnet_seg import FitNetSegLoss
from preceptor.knowledge.mask.ifvd import IFVDLoss
from preceptor.knowledge.mask.seg_kd import SegKDLoss
from preceptor.knowledge.mask.skd import SKDLoss
from preceptor.networks.outputs import Knowledge

from .edge import Edge, built, random_edge, tensors


def skd_hinge() -> SKDLoss:
    return SKDLoss(holistic=True, critic="hinge")


def skd_wgan() -> SKDLoss:
    return SKDLoss(holistic=True)


PLAIN: list[Callable[[], Loss]] = [
    CWDLoss,
    DISTSegLoss,
    DSDLoss,
    EMKDLoss,
    FDWAStyleLoss,
    FitNetSegLoss,
    IFVDLoss,
    SegKDLoss,
    SKDLoss,
]
EVERY: list[Callable[[], Loss]] = [*PLAIN, skd_hinge, skd_wgan]


def named(make: Callable[[], Loss]) -> str:
    return make.__name__


every = pytest.mark.parametrize("make", EVERY, ids=named)
two_or_more_classes = pytest.mark.parametrize("classes", [2, 4])


def mapped(knowledge: Knowledge, change: Callable[[Tensor], Tensor]) -> Knowledge:
    return tuple(map(change, knowledge)) if isinstance(knowledge, tuple) else change(knowledge)


def gradients(loss: Loss, edge: Edge) -> tuple[Tensor, list[Tensor]]:
    """Value, and gradients of the student's tensors and the adapters that the value depends on."""
    wanted = [*edge.leaves(), *loss.parameters()]
    value = loss(edge.student, edge.teacher, edge.targets)
    found = torch.autograd.grad(value, wanted, allow_unused=True)
    return value, [gradient for gradient in found if gradient is not None]


def assert_finite(loss: Loss, edge: Edge) -> None:
    value, found = gradients(loss, edge)
    assert value.shape == ()
    assert value.isfinite()
    assert found
    assert all(gradient.isfinite().all() for gradient in found)


@two_or_more_classes
@pytest.mark.parametrize("ignores", [False, True])
@pytest.mark.parametrize("key", [key for key, entry in catalogue.losses().items() if "segmentation" in entry.settings])
def test_a_loss_says_that_it_reads_masks_or_reads_none(key: str, ignores: bool, classes: int) -> None:
    """Images without a mask, all of whose pixels are -1, reach those alone that say so."""
    entry = catalogue.losses()[key]
    loss = catalogue.load(entry)()
    edge = random_edge(loss, classes=classes)
    if key == "feature_mse":  # brings no adapter
        edge = replace(edge, teacher=torch.randn_like(tensors(edge.student)[0]))
    loss.ignores = ignores
    built(loss, edge, classes=classes).eval()

    def of(targets: Tensor) -> Tensor:
        torch.manual_seed(0)  # some draw a mask of their own
        value = loss(edge.student, edge.teacher, targets)
        assert isinstance(value, Tensor)
        return value

    background = torch.zeros_like(edge.targets)
    if entry.needs_labels:
        assert not torch.equal(of(edge.targets), of(background))
    else:
        assert torch.equal(of(edge.targets), of(background))
        assert torch.equal(of(edge.targets), of(background + UNKNOWN))


@every
@two_or_more_classes
@pytest.mark.parametrize("size", [1e4, 1e-4, 1e-20])
def test_finite_for_large_and_tiny_values(make: Callable[[], Loss], classes: int, size: float) -> None:
    plain = random_edge(make(), classes=classes)
    edge = Edge(mapped(plain.student, lambda x: x * size), mapped(plain.teacher, lambda x: -x * size), plain.targets)
    assert_finite(built(make(), edge, classes=classes), edge)


@every
@two_or_more_classes
@pytest.mark.parametrize("value", [0.0, -1e4])
def test_finite_for_constant_maps(make: Callable[[], Loss], classes: int, value: float) -> None:
    plain = random_edge(make(), classes=classes)
    constant = mapped(plain.student, lambda x: torch.full_like(x, value))
    for teacher in (plain.teacher, mapped(plain.teacher, lambda x: torch.full_like(x, value))):
        edge = Edge(constant, teacher, plain.targets)
        assert_finite(built(make(), edge, classes=classes), edge)


@every
@two_or_more_classes
@pytest.mark.parametrize("label", [0, 1, 255])
def test_finite_for_a_batch_of_one_and_a_mask_of_one_class(make: Callable[[], Loss], classes: int, label: int) -> None:
    plain = random_edge(make(), classes=classes, batch=1)
    edge = Edge(plain.student, plain.teacher, torch.full_like(plain.targets, label))
    assert_finite(built(make(), edge, classes=classes), edge)


@every
def test_float64_stays_and_half_becomes_float32(make: Callable[[], Loss]) -> None:
    edge = random_edge(make(), dtype=torch.float64)
    loss = built(make(), edge).double()
    assert loss(edge.student, edge.teacher, edge.targets).dtype == torch.float64

    half = random_edge(make(), dtype=torch.bfloat16)
    assert built(make(), half)(half.student, half.teacher, half.targets).dtype == torch.float32


@every
def test_autocast_changes_nothing(make: Callable[[], Loss]) -> None:
    edge = random_edge(make())
    values = []
    for enabled in (False, True):
        torch.manual_seed(0)
        loss = built(make(), edge)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            values.append(loss(edge.student, edge.teacher, edge.targets))
    assert values[1].dtype == torch.float32
    assert torch.equal(values[0], values[1])


@every
@two_or_more_classes
def test_every_student_tensor_and_adapter_learns(make: Callable[[], Loss], classes: int) -> None:
    edge = random_edge(make(), classes=classes)
    loss = built(make(), edge, classes=classes)
    if make in (skd_hinge, skd_wgan):
        open_gates(loss)
    unfelt = {1} if isinstance(loss, FDWAStyleLoss) else set()  # its map only weighs images

    leaves = edge.leaves()
    loss(edge.student, edge.teacher, edge.targets).backward()

    for number, leaf in enumerate(leaves):
        assert (leaf.grad is None) == (number in unfelt)
        assert number in unfelt or leaf.grad.abs().sum() > 0
    assert not [name for name, p in loss.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]


def open_gates(loss: Loss) -> None:
    """The gates of attention start at 0 and let no gradient through to what they gate."""
    for name, parameter in loss.named_parameters():
        if name.endswith("gate"):
            torch.nn.init.constant_(parameter, 0.5)


@every
def test_a_detached_teacher_gets_no_gradient(make: Callable[[], Loss]) -> None:
    edge = random_edge(make())
    loss = built(make(), edge)
    edge.leaves()
    before = mapped(edge.teacher, Tensor.clone)
    loss(edge.student, edge.teacher, edge.targets).backward()
    for kept, teacher in zip(tensors(before), tensors(edge.teacher), strict=True):
        assert teacher.grad is None
        assert torch.equal(kept, teacher)


@pytest.mark.parametrize("make", [CWDLoss, DISTSegLoss, DSDLoss, EMKDLoss, IFVDLoss, SegKDLoss, SKDLoss], ids=named)
@two_or_more_classes
def test_a_perfect_student_feels_nothing(make: Callable[[], Loss], classes: int) -> None:
    """Zero gradient, and zero loss but for the entropy of the teacher in the cross entropy of SKD."""
    edge = random_edge(make(), classes=classes, dtype=torch.float64)
    same = Edge(mapped(edge.teacher, Tensor.clone), edge.teacher, edge.targets)
    value, found = gradients(built(make(), same, classes=classes), same)
    if make is not SKDLoss:
        torch.testing.assert_close(value.item(), 0.0, rtol=0.0, atol=1e-7)
    assert all(gradient.abs().max() < 1e-7 for gradient in found)


@every
def test_the_order_of_the_batch_does_not_matter(make: Callable[[], Loss]) -> None:
    edge = random_edge(make(), batch=4)
    order = torch.tensor([2, 0, 3, 1])
    student, teacher = (mapped(side, lambda x: x[order]) for side in (edge.student, edge.teacher))
    shuffled = Edge(student, teacher, edge.targets[order])
    if make is skd_wgan:
        pytest.skip("the points of its gradient penalty are drawn by place in the batch")
    values = []
    for one in (edge, shuffled):
        torch.manual_seed(0)
        values.append(built(make(), one)(one.student, one.teacher, one.targets))
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", PLAIN, ids=named)
def test_a_teacher_of_another_input_size(make: Callable[[], Loss]) -> None:
    student, teacher = random_edge(make(), size=16), random_edge(make(), size=32)
    edge = Edge(student.student, teacher.teacher, student.targets)
    assert_finite(built(make(), edge), edge)


@pytest.mark.parametrize("make", [DSDLoss, EMKDLoss, FDWAStyleLoss, SKDLoss], ids=named)
def test_one_tap_where_several_are_needed_is_refused(make: Callable[[], Loss]) -> None:
    edge = random_edge(SegKDLoss())
    with pytest.raises(UserError, match=r"on T->S1: student_tap gives \(2, 1, 16, 16\)(.|\n)*\[logits, "):
        built(make(), edge)


@pytest.mark.parametrize("make", [DSDLoss, EMKDLoss, FDWAStyleLoss, SKDLoss, SegKDLoss, DISTSegLoss], ids=named)
def test_other_classes_are_refused(make: Callable[[], Loss]) -> None:
    edge = random_edge(make(), classes=4)
    with pytest.raises(UserError, match="T->S1"):
        built(make(), Edge(edge.student, random_edge(make(), classes=5).teacher, edge.targets), classes=4)


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (SegKDLoss, "temperature"),
        (CWDLoss, "temperature"),
        (DSDLoss, "psd_weight"),
        (EMKDLoss, "rad_weight"),
        (SKDLoss, "scale"),
        (DISTSegLoss, "beta"),
        (FDWAStyleLoss, "eta"),
    ],
)
def test_a_negative_option_is_refused_by_name(make: Callable[..., Loss], option: str) -> None:
    with pytest.raises(UserError, match=f"{option} must be .* got -1.0"):
        make(**{option: -1.0})

"""Logit losses against formulas in float64 NumPy where a teacher is all but certain, and at tiny vectors.

An epsilon at another place than in the reference shows only there.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from preceptor.knowledge.feature.grafting import normalised_logit_distance
from preceptor.knowledge.logits.dist import correlation_gaps
from preceptor.knowledge.logits.dkd import decoupled_kl
from preceptor.knowledge.logits.integration import entropy_weights, integrated_logits
from preceptor.knowledge.logits.logit_std_kd import standardised
from preceptor.knowledge.logits.nkd import normalised_cross_entropy
from preceptor.knowledge.logits.ofa import adaptive_target_cross_entropy
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.knowledge.maps import attention_map, unit
from preceptor.knowledge.mask.cwd import channel_kl
from preceptor.knowledge.mask.dsd import class_similarity_distance
from preceptor.knowledge.mask.ifvd import class_variation
from preceptor.knowledge.mask.skd import pair_distance, pixel_cross_entropy
from preceptor.knowledge.relation.pkt import neighbour_kl
from preceptor.knowledge.relation.rkd import relation_gaps
from preceptor.knowledge.relation.sp import similarity_gap

Array = NDArray[np.float64]
Pair = tuple[Array, Array, NDArray[np.int64]]

SHIFTS = [sign * size for sign in (-1.0, 1.0) for size in (6.0, 9.0, 12.0, 20.0)]


def pair(shift: float, *, rows: int = 12, classes: int = 5) -> Pair:
    """Student, teacher and labels; class 1 is ``shift`` logits from the others for both; class 4 has no sample."""
    generator = np.random.default_rng(7)
    student, teacher = generator.normal(size=(2, rows, classes))
    student[:, 1] += shift
    teacher[:, 1] += shift
    return student, teacher, np.arange(rows) % (classes - 1)


def log_softmax(logits: Array, axis: int = 1) -> Array:
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def softmax(logits: Array, axis: int = 1) -> Array:
    return np.asarray(np.exp(log_softmax(logits, axis)))


def kl(student: Array, teacher: Array, temperature: float, axis: int = 1) -> Array:
    mine, theirs = log_softmax(student / temperature, axis), log_softmax(teacher / temperature, axis)
    return np.asarray(temperature**2 * (np.exp(theirs) * (theirs - mine)).sum(axis=axis))


def pearson(first: Array, second: Array) -> float:
    """Mean correlation of the rows, 1e-8 added to the product of their norms."""
    first, second = first - first.mean(1, keepdims=True), second - second.mean(1, keepdims=True)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(1) / (norms + 1e-8)).mean())


def others(values: Array, labels: NDArray[np.int64]) -> Array:
    return np.stack([np.delete(row, label) for row, label in zip(values, labels, strict=True)])


def dist(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    mine, theirs = softmax(student / 2), softmax(teacher / 2)
    return 4 * (1 - pearson(mine, theirs)) + 4 * (1 - pearson(mine.T, theirs.T))


def dkd(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    rows = np.arange(len(labels))
    binary = []
    for logits in (student, teacher):
        rest = np.log(np.exp(others(logits / 4, labels)).sum(1))
        binary.append(np.stack([logits[rows, labels] / 4, rest], axis=1))
    within = kl(others(student, labels), others(teacher, labels), 4.0)
    return float((16 * kl(binary[0], binary[1], 1.0) + 8 * within).mean())


def nkd(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    rows = np.arange(len(labels))
    target = -(softmax(teacher)[rows, labels] * log_softmax(student)[rows, labels]).mean()
    rest = softmax(others(teacher, labels) / 2) * log_softmax(others(student, labels) / 2)
    return float(target - 1.5 * 4 * rest.sum(1).mean())


def ofa(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    truth = np.eye(student.shape[1])[labels]
    return float(-(((softmax(teacher) + truth) ** 1.5 - truth) * log_softmax(student)).sum(1).mean())


def zscore(logits: Array) -> Array:
    return np.asarray((logits - logits.mean(1, keepdims=True)) / (logits.std(1, ddof=1, keepdims=True) + 1e-7))


def entropy_of_two(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    teachers = [teacher, teacher[::-1] / 2]
    entropies = np.stack([-(softmax(one) * log_softmax(one)).sum(1) for one in teachers])
    divergences = np.stack([kl(student, one, 4.0) for one in teachers])
    return float(((1 - entropies / entropies.sum(0)) * divergences).sum(0).mean())


def pkt(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    shares = []
    for one in (student, teacher):
        one = one / (np.linalg.norm(one, axis=1, keepdims=True) + 1e-7)
        similarity = (one @ one.T + 1) / 2
        shares.append(similarity / similarity.sum(1, keepdims=True))
    return float((shares[1] * np.log((shares[1] + 1e-7) / (shares[0] + 1e-7))).mean())


def sp(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    grams = [one @ one.T for one in (student, teacher)]
    mine, theirs = (gram / np.linalg.norm(gram, axis=1, keepdims=True) for gram in grams)
    return float(((mine - theirs) ** 2).mean())


def grafting(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    mine, theirs = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (student, teacher))
    return float(((mine - theirs) ** 2).sum())


def integrated(student: Array, teacher: Array, labels: NDArray[np.int64]) -> float:
    mixture = (softmax(teacher / 4) + softmax(teacher[::-1] / 8)) / 2
    return float(16 * (mixture * (np.log(mixture) - log_softmax(student / 4))).sum(1).mean())


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Formula = Callable[[Array, Array, NDArray[np.int64]], float]


def _two_teachers(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    teachers = torch.stack([teacher, teacher.flip(0) / 2])
    divergences = [
        [soft_target_kl(mine[None], one[None], temperature=4.0) for mine, one in zip(student, teacher, strict=True)]
        for teacher in teachers
    ]
    return (entropy_weights(teachers) * torch.stack([torch.stack(row) for row in divergences])).sum(dim=0).mean()


def _integrated(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    teachers = torch.stack([teacher, teacher.flip(0) / 2])
    weights = torch.full(teachers.shape[:2], 0.5, dtype=teachers.dtype)
    return soft_target_kl(student, integrated_logits(teachers, weights, temperature=4.0), temperature=4.0)


def _dkd(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    target, rest = decoupled_kl(student, teacher, labels, temperature=4.0)
    return (target + 8 * rest).mean()


LOGITS: dict[str, tuple[Loss, Formula]] = {
    "kd": (lambda s, t, y: soft_target_kl(s, t, temperature=2.0), lambda s, t, y: float(kl(s, t, 2.0).mean())),
    "kd_reverse": (
        lambda s, t, y: soft_target_kl(s, t, temperature=1.0, direction="reverse"),
        lambda s, t, y: float(kl(t, s, 1.0).mean()),
    ),
    "dist": (lambda s, t, y: sum(correlation_gaps(s, t, temperature=2.0), torch.zeros(())), dist),
    "dkd": (_dkd, dkd),
    "nkd": (lambda s, t, y: normalised_cross_entropy(s, t, y, gamma=1.5, temperature=2.0), nkd),
    "ofa": (lambda s, t, y: adaptive_target_cross_entropy(s, t, y, exponent=1.5, temperature=1.0), ofa),
    "logit_std_kd": (
        lambda s, t, y: soft_target_kl(standardised(s), standardised(t), temperature=2.0),
        lambda s, t, y: float(kl(zscore(s), zscore(t), 2.0).mean()),
    ),
    "entropy": (_two_teachers, entropy_of_two),
    "integrated": (_integrated, integrated),
    "grafting": (lambda s, t, y: normalised_logit_distance(s, t), grafting),
    "pkt": (lambda s, t, y: neighbour_kl(s, t), pkt),
    "sp": (lambda s, t, y: similarity_gap(s, t), sp),
}


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("name", LOGITS)
def test_is_the_formula_where_one_class_is_far_from_the_others(name: str, shift: float) -> None:
    loss, formula = LOGITS[name]
    student, teacher, labels = pair(shift)
    wanted = formula(student, teacher, labels)
    for dtype, tolerance, rounding in ((torch.float64, 1e-9, 1e-12), (torch.float32, 2e-3, 1e-6)):
        tensors = torch.tensor(student, dtype=dtype), torch.tensor(teacher, dtype=dtype)
        assert loss(*tensors, torch.tensor(labels)).item() == pytest.approx(wanted, rel=tolerance, abs=rounding)


def as_map(logits: Array) -> Tensor:
    """(12, C) as one batch of two maps (2, C, 2, 3)."""
    return torch.tensor(logits).view(2, 2, 3, -1).movedim(3, 1)


def channel_divergence(student: Array, teacher: Array) -> float:
    per_image = [one.reshape(2, 6, -1) for one in (student, teacher)]
    return float(kl(per_image[0], per_image[1], 4.0).mean())


@pytest.mark.parametrize("shift", SHIFTS)
def test_mask_losses_are_the_formulas_where_one_class_is_far_from_the_others(shift: float) -> None:
    student, teacher, labels = pair(shift)
    maps = as_map(student), as_map(teacher)
    gaps = sum(correlation_gaps(*maps, temperature=2.0), torch.zeros(()))
    known = torch.ones(2, 2, 3, dtype=torch.bool)
    counted = sum(correlation_gaps(*maps, temperature=2.0, known=known), torch.zeros(()))
    pixels = -(softmax(teacher) * log_softmax(student)).sum(1)
    assert gaps.item() == pytest.approx(dist(student, teacher, labels), rel=1e-9)
    assert counted.item() == pytest.approx(dist(student, teacher, labels), rel=1e-9)
    assert soft_target_kl(*maps, temperature=1.0).item() == pytest.approx(kl(student, teacher, 1.0).mean(), rel=1e-9)
    assert pixel_cross_entropy(*maps).item() == pytest.approx(pixels.sum() / 6, rel=1e-9)
    assert channel_kl(*maps, temperature=4.0).mean().item() == pytest.approx(channel_divergence(student, teacher))


def test_dist_of_a_rare_class_leaves_a_gap_that_the_added_epsilon_makes() -> None:
    """A student that equals its teacher still pays for a class that both rule out, as in the reference."""
    _, teacher, _ = pair(-20.0)
    _, columns = correlation_gaps(torch.tensor(teacher), torch.tensor(teacher), temperature=1.0)
    assert 0.19 < columns.item() < 0.21


def test_dist_of_equal_answers_for_all_samples_has_a_finite_gradient() -> None:
    """A head that starts at 0 answers the same to all; 1 / 1e-8 would be the gradient."""
    for classes in (3, 7):
        student = torch.full((16, classes), 0.3, requires_grad=True)
        rows, columns = correlation_gaps(student, torch.randn(16, classes), temperature=1.0)
        (gradient,) = torch.autograd.grad(rows + columns, student)
        assert gradient.abs().max() < 1.0


@pytest.mark.parametrize("size", [0.0, 1e-14, 1e-10, 1e-6, 1.0])
def test_unit_and_attention_are_as_torch_normalises_at_any_size(size: float) -> None:
    vectors = size * torch.rand(3, 4, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(unit(vectors), torch.nn.functional.normalize(vectors), rtol=1e-9, atol=0)
    for exponent in (2, 4):
        wanted = torch.nn.functional.normalize(vectors.pow(exponent).mean(dim=1).flatten(1))
        torch.testing.assert_close(attention_map(vectors, exponent=exponent), wanted, rtol=1e-9, atol=0)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-7, 1.0])
def test_cosines_and_pairs_of_tiny_features(size: float) -> None:
    features, teacher = size * torch.rand(1, 3, 4, 4, dtype=torch.float64), torch.rand(1, 3, 4, 4, dtype=torch.float64)
    labels = torch.arange(16).view(1, 4, 4) % 2
    centres = torch.stack([features[0].flatten(1)[:, k::2].sum(1) / (8 + 1e-6) for k in (0, 1)])
    pixels = features[0].flatten(1).T
    wanted = torch.cosine_similarity(pixels, centres[labels.flatten()], dim=1, eps=1e-8)
    torch.testing.assert_close(class_variation(features, labels, classes=2)[0], wanted, rtol=1e-7, atol=1e-12)

    pooled = [torch.nn.functional.max_pool2d(one, 2)[0].flatten(1) for one in (features, teacher)]
    similar = [(one / (one.norm(dim=0) + 1e-8)).T @ (one / (one.norm(dim=0) + 1e-8)) for one in pooled]
    torch.testing.assert_close(pair_distance(features, teacher, scale=0.5), (similar[0] - similar[1]).square().mean())


def test_rkd_counts_identical_samples_at_the_least_distance() -> None:
    """Two of three samples are one: their distance is sqrt(1e-12) and belongs to the mean."""
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    other = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    mine = np.array([[0, 1e-6, 5], [1e-6, 0, 5], [5, 5, 0]])
    theirs = np.array([[0, 1, 2], [1, 0, 5**0.5], [2, 5**0.5, 0]])
    gaps = np.abs(mine / (mine.sum() / 6) - theirs / (theirs.sum() / 6))
    wanted = np.where(gaps < 1, gaps**2 / 2, gaps - 0.5).mean()
    assert relation_gaps(points, other)[0].item() == pytest.approx(wanted, rel=1e-9)


def test_class_overlap_of_a_class_that_is_nowhere() -> None:
    """Every class has a distribution over positions, one that no pixel shows as well."""
    student, teacher, _ = pair(-20.0, rows=32)
    maps = [torch.tensor(one).view(1, 4, 8, 5).movedim(3, 1) for one in (student, teacher)]
    overlaps = []
    for one in (student, teacher):
        blocks = one.reshape(2, 2, 4, 2, 5).mean(axis=(1, 3)).reshape(8, 5)
        shares = softmax(blocks / 4, axis=0)
        overlaps.append(shares.T @ shares)
    wanted = ((overlaps[0] - overlaps[1]) ** 2).mean()
    assert class_similarity_distance(*maps, temperature=4.0).item() == pytest.approx(wanted, rel=1e-9)

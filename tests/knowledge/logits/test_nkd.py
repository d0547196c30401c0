import math

import torch

from preceptor.knowledge.logits.nkd import normalised_cross_entropy


def test_a_slow_obvious_reference() -> None:
    student, teacher = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    labels = [0, 2, 1, 1]
    total = 0.0
    for z_s, z_t, label in zip(student.tolist(), teacher.tolist(), labels, strict=True):
        p_s, p_t = _softmax(z_s, 1.0), _softmax(z_t, 1.0)
        others = [c for c in range(3) if c != label]
        n_s, n_t = (_softmax([z[c] for c in others], 2.0) for z in (z_s, z_t))
        total -= p_t[label] * math.log(p_s[label])
        total -= 1.5 * 4.0 * sum(t * math.log(s) for t, s in zip(n_t, n_s, strict=True))
    actual = normalised_cross_entropy(student, teacher, torch.tensor(labels), gamma=1.5, temperature=2.0)
    assert math.isclose(actual.item(), total / 4, rel_tol=1e-9)


def test_with_two_classes_the_second_part_is_zero() -> None:
    student, teacher, labels = torch.randn(4, 2), torch.randn(4, 2), torch.arange(4) % 2
    with_others, without = (
        normalised_cross_entropy(student, teacher, labels, gamma=gamma, temperature=1.0) for gamma in (5.0, 0.0)
    )
    torch.testing.assert_close(with_others, without)


def _softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]

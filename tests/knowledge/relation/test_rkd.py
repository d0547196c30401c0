import math

import torch

from preceptor.knowledge.relation.rkd import relation_gaps


def test_a_rotated_and_scaled_student_is_perfect() -> None:
    teacher = torch.randn(6, 4, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))
    distance, angle = relation_gaps(3.0 * teacher @ rotation + 1.0, teacher)
    assert max(distance.item(), angle.item()) < 1e-12


def test_a_slow_obvious_reference() -> None:
    student, teacher = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)

    def smooth(x: float) -> float:
        return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5

    def relative(points: torch.Tensor) -> list[list[float]]:
        found = [[math.dist(a, b) for a in points.tolist()] for b in points.tolist()]
        mean = sum(map(sum, found)) / 12
        return [[entry / mean for entry in row] for row in found]

    def cosine(points: torch.Tensor, i: int, j: int, k: int) -> float:
        a, b = points[j] - points[i], points[k] - points[i]
        length = (a.norm() * b.norm()).item()
        return (a @ b).item() / length if length else 0.0

    pairs = [
        (s, t)
        for mine, theirs in zip(relative(student), relative(teacher), strict=True)
        for s, t in zip(mine, theirs, strict=True)
    ]
    triples = [(i, j, k) for i in range(4) for j in range(4) for k in range(4)]
    distance, angle = relation_gaps(student, teacher)
    assert math.isclose(distance.item(), sum(smooth(s - t) for s, t in pairs) / 16, rel_tol=1e-9)
    expected = sum(smooth(cosine(student, *one) - cosine(teacher, *one)) for one in triples) / 64
    assert math.isclose(angle.item(), expected, rel_tol=1e-9)

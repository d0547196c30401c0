"""How faithfully a student repeats its teacher, right or wrong (Stanton et al. 2021, arXiv:2106.05945)."""

import numpy as np

from preceptor.measures.arrays import Float64, Floats, Integers, check_probabilities
from preceptor.measures.segmentation import mask_counts, segmentation_scores


def fidelity_scores(student: Floats, teacher: Floats) -> dict[str, float]:
    """``agreement``: share of samples whose argmax is the teacher's; ``kl``: mean KL(teacher || student) in nats.

    Student probabilities below the smallest normal float32 count as that, so that ``kl`` is finite.

    Shapes:
        student, teacher: (N, C) probabilities
    """
    check_probabilities(student)
    check_probabilities(teacher)
    if student.shape != teacher.shape:
        raise ValueError(f"student and teacher differ: {student.shape} and {teacher.shape} probabilities")
    return {
        "agreement": float((student.argmax(axis=1) == teacher.argmax(axis=1)).mean()),
        "kl": float(kl_of_samples(student, teacher).mean()),
    }


def mask_fidelity(student: Integers, teacher: Integers, *, classes: int = 2) -> dict[str, float]:
    """Pooled ``iou`` and ``f1`` of the student's masks (N, H, W) against the teacher's.

    To go through data in pieces, collect ``mask_counts(student, teacher)`` and score those.
    """
    scores = segmentation_scores(mask_counts(student, teacher, classes=classes))
    return {name: scores[name] for name in ("iou", "f1")}


def kl_of_samples(student: Floats, teacher: Floats) -> Float64:
    """(N,) KL(teacher || student) in nats of each sample; see :func:`fidelity_scores`."""
    tiny = float(np.finfo(np.float32).tiny)
    p, q = teacher.astype(np.float64), np.maximum(student.astype(np.float64), tiny)
    terms: Float64 = np.where(p > 0, p * (np.log(np.maximum(p, tiny)) - np.log(q)), 0.0).sum(axis=1)
    return terms

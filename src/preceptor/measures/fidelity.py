"""How faithfully a student repeats its teacher, right or wrong (Stanton et al. 2021, arXiv:2106.05945)."""

from typing import Any

import numpy as np

from preceptor.measures.arrays import Float64, Floats
from preceptor.measures.measure import ClassAnswers, MaskAnswers, Measure, counted, ratio
from preceptor.measures.segmentation import any_foreground, intersection_over_union, mask_f1, over_all_pixels


def kl_of_samples(student: Floats, teacher: Floats) -> Float64:
    """(N,) KL(teacher || student) in nats of each sample.

    Student probabilities below the smallest normal float32 count as that, so that it is finite.
    """
    tiny = float(np.finfo(np.float32).tiny)
    p, q = teacher.astype(np.float64), np.maximum(student.astype(np.float64), tiny)
    terms: Float64 = np.where(p > 0, p * (np.log(np.maximum(p, tiny)) - np.log(q)), 0.0).sum(axis=1)
    return terms


def _agreement(answers: ClassAnswers) -> Float64:
    return counted(answers.predictions == _teacher(answers).argmax(axis=1))


def _kl(answers: ClassAnswers) -> Float64:
    return counted(kl_of_samples(answers.probabilities, _teacher(answers)))


def _pixels(answers: MaskAnswers) -> Float64:
    counts = _teacher(answers)
    pixels: Float64 = counts.reshape(len(counts), -1).astype(np.float64)
    return pixels


def _teacher(answers: ClassAnswers | MaskAnswers) -> Any:
    assert answers.teacher is not None
    return answers.teacher


MEASURES: tuple[Measure[Any], ...] = (
    Measure(
        name="agreement",
        label="agreement with T",
        task="classification",
        addends=_agreement,
        finish=ratio,
        against_teacher=True,
        is_printed=True,
        published_as="accuracy",  # that of a student whose labels are the teacher's answers
    ),
    Measure(
        name="kl",
        label="KL to T",
        task="classification",
        addends=_kl,
        finish=ratio,
        higher_is_better=False,
        is_share=False,
        unit="nats",
        against_teacher=True,
    ),
    Measure(
        name="iou",
        label="IoU with T",
        task="segmentation",
        addends=_pixels,
        finish=over_all_pixels(intersection_over_union),
        occurs=any_foreground,
        against_teacher=True,
        is_printed=True,
    ),
    Measure(
        name="f1",
        label="F1 with T",
        task="segmentation",
        addends=_pixels,
        finish=over_all_pixels(mask_f1),
        occurs=any_foreground,
        against_teacher=True,
    ),
)

"""The table of measures: all that is scored, shown, compared or monitored is one of these, or a user's own.

What a file of this folder calls ``MEASURES`` is in it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import cast, get_args

import numpy as np

from preceptor.measures import segmentation, surface
from preceptor.measures.arrays import Floats, Int64, Integers, check_probabilities
from preceptor.measures.measure import (
    AnyMeasure,
    ClassAnswers,
    MaskAnswers,
    Measures,
    fidelity_of,
    scores_of,
)
from preceptor.measures.segmentation import mask_counts
from preceptor.specs import Scored

_MAIN: Mapping[Scored, str] = {"classification": "accuracy", "segmentation": "iou", "features": "knowledge_loss"}


def _found() -> list[AnyMeasure]:
    """Those of every file here that has any; files are looked at as text first, since some need torch.

    Files that hold a main measure come first.
    """
    paths = sorted(path for path in Path(__file__).parent.glob("*.py") if path != Path(__file__))
    names = [path.stem for path in paths if re.search(r"^MEASURES\b", path.read_text(encoding="utf-8"), re.MULTILINE)]
    each: list[tuple[AnyMeasure, ...]] = [import_module(f"preceptor.measures.{name}").MEASURES for name in names]
    each.sort(key=lambda measures: not any(one.key == _MAIN[one.task] for one in measures))
    return [one for measures in each for one in measures]


_EVERY = _found()

MEASURES: Mapping[str, Measures] = {
    task: {one.key: one for one in _EVERY if one.task == task} for task in get_args(Scored)
}
"""Task, or ``features`` -> key -> measure."""


def main_measure(task: str) -> AnyMeasure:
    """The score that is first spoken of, and by which weights are chosen unless the recipe monitors another."""
    return MEASURES[task][_MAIN[cast(Scored, task)]]


def rare_class_measure() -> AnyMeasure:
    """The score of a classifier in which every class counts alike, however rare it is."""
    return MEASURES["classification"]["f1"]


def agreement_measure(task: str) -> AnyMeasure:
    """The one score of how far a student agrees with its teacher's answers where there is room for one."""
    return next(one for one in MEASURES[task].values() if one.against_teacher and one.is_printed)


def with_own(task: str, own: Iterable[AnyMeasure], classes: Sequence[str] = ()) -> Measures:
    """The measures of a task, for masks those of each of several foreground ``classes`` too, with a user's own."""
    of_classes = (*segmentation.measures_of(classes), *surface.surfaces_of(classes)) if task == "segmentation" else ()
    return {**MEASURES[task], **{one.key: one for one in (*of_classes, *own)}}


def classification_scores(probabilities: Floats, labels: Integers) -> dict[str, float]:
    """Every measure of classes against the labels; AUROC is left out where all labels are equal, none is ever NaN.

    Shapes:
        probabilities: (N, C), rows sum to 1; labels: (N,)
    """
    return scores_of(MEASURES["classification"], ClassAnswers(probabilities, labels))


def segmentation_scores(counts: Int64) -> dict[str, float]:
    """Every measure of masks but of outlines: pooled over all pixels of all images, and the means of the images' own.

    Shapes:
        counts: (N, 4) or (N, K, 4)
    """
    return scores_of(MEASURES["segmentation"], MaskAnswers(counts[:, None] if counts.ndim == 2 else counts))


def fidelity_scores(student: Floats, teacher: Floats) -> dict[str, float]:
    """``agreement``: share of samples whose argmax is the teacher's; ``kl``: mean KL(teacher || student) in nats.

    Shapes:
        student, teacher: (N, C) probabilities
    """
    check_probabilities(teacher)
    return fidelity_of(
        MEASURES["classification"], ClassAnswers(student, np.zeros(len(student), dtype=np.int64), teacher)
    )


def mask_fidelity(student: Integers, teacher: Integers, *, classes: int = 2) -> dict[str, float]:
    """Pooled ``iou`` and ``f1`` of the student's masks (N, H, W) against the teacher's."""
    counts = mask_counts(student, teacher, classes=classes)
    return fidelity_of(MEASURES["segmentation"], MaskAnswers(counts, counts))

"""How near a student's features are to its teachers': all that is known where no label is read."""

from typing import Any

from preceptor.measures.arrays import Float64
from preceptor.measures.measure import Measure

KNOWLEDGE_LOSS, COSINE = "knowledge_loss", "teacher_cosine"


def _first(sums: Float64) -> Float64:
    return sums[:, 0]


MEASURES: tuple[Measure[Any], ...] = (
    Measure(
        name=KNOWLEDGE_LOSS,
        label="loss of knowledge",
        task="features",
        addends=None,  # of batches: it is no sum over images
        finish=_first,
        higher_is_better=False,
        is_share=False,
        is_printed=True,
        is_tabled=True,
    ),
    Measure(
        name=COSINE,
        label="cosine to T",
        task="features",
        addends=None,
        finish=_first,
        is_share=False,
        is_printed=True,
        is_tabled=True,
    ),
)

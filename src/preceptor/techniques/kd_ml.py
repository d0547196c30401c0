"""Distillation and mutual learning at once."""

from typing import ClassVar, Literal

from preceptor.techniques.mixture import SHARING, Mixture


class KDML(Mixture):
    """Students learn from a teacher that trains along and from one another (KD+ML).

    Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
        biomedical imaging".
    """

    uses: ClassVar[frozenset[str]] = (SHARING - {"diverse"}) | {
        "beta",
        "gamma",
        "teacher",
        "teacher_learns",
        "sequential",
        "student_alone",
    }
    fewest_students: ClassVar[int] = 2
    peers_teach: ClassVar[bool] = True

    name: Literal["kd_ml"]

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True

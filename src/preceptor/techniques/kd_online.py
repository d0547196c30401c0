"""Online distillation."""

from typing import ClassVar, Literal

from preceptor.techniques.mixture import SHARING, Mixture


class KDOnline(Mixture):
    """A teacher and its students train together, the teacher by its task (online distillation).

    Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
        biomedical imaging".
    """

    uses: ClassVar[frozenset[str]] = SHARING | {
        "beta",
        "losses",
        "teacher",
        "teacher_learns",
        "sequential",
        "student_alone",
    }

    name: Literal["kd_online"]

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True

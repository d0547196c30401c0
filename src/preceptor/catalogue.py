"""What can be chosen by name, read from the source text of the classes themselves.

``preceptor methods`` and the checks of a recipe must not wait for torch, yet every option should be
written down once, in the signature of the class that has it. So this module parses signatures and
class attributes with :mod:`ast` and imports nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a knowledge loss is used in one task, as published.

    Args:
        weight: factor of the loss.
        student_tap, teacher_tap: what it compares; the teacher's is the student's unless given.
        warmup: epochs over which the weight rises linearly from 0.
        task_weight: published factor of the network's own task loss beside it.
    """

    weight: float
    student_tap: str | tuple[str, ...]
    teacher_tap: str | tuple[str, ...] | None = None
    warmup: int = 0
    task_weight: float = 1.0

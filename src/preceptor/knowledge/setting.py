"""How a knowledge loss is used: what its paper says beside the formula."""

from dataclasses import dataclass

Tap = str | tuple[str, ...]
"""Where an output is read: ``logits``, ``embedding``, the name of a map, or several of these.
``stages`` stands for all stage maps, ``stage1`` first."""


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
    student_tap: Tap
    teacher_tap: Tap | None = None
    warmup: int = 0
    task_weight: float = 1.0

"""Reading a probed edge: the tensors that a loss wants there, or an error in the user's words."""

from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe, class_logits
from preceptor.networks.outputs import Knowledge


def as_maps(knowledge: Knowledge) -> tuple[Tensor, ...]:
    """The tensors of a tap, one or several, as a tuple."""
    return knowledge if isinstance(knowledge, tuple) else (knowledge,)


def one_tensor(probe: Probe, key: str) -> tuple[Tensor, Tensor]:
    """The probed tensors of student and teacher, for a loss that compares one tensor.

    Raises:
        UserError: a tap yields several.
    """
    student, teacher = probe.student, probe.teacher
    if isinstance(student, tuple) or isinstance(teacher, tuple):
        raise UserError(
            f"{key} on {probe.edge} compares one tensor; the student's tap gives {len(as_maps(student))}, "
            f"the teacher's {len(as_maps(teacher))}.\nName one tap, for example `last` or `stage3`."
        )
    return student, teacher


def one_map(probe: Probe, key: str) -> tuple[Tensor, Tensor]:
    """Like :func:`one_tensor`, for a loss that compares feature maps (N, C, H, W)."""
    student, teacher = one_tensor(probe, key)
    _check_maps(probe, key, (student, teacher))
    return student, teacher


def paired_maps(probe: Probe, key: str) -> tuple[tuple[Tensor, Tensor], ...]:
    """(student, teacher) maps (N, C, H, W) of each level, for a loss that compares several levels.

    Raises:
        UserError: different numbers of maps, or something that is no map.
    """
    students, teachers = as_maps(probe.student), as_maps(probe.teacher)
    if len(students) != len(teachers):
        raise UserError(
            f"{key} on {probe.edge} compares maps pair by pair; the student's tap gives {len(students)}, "
            f"the teacher's {len(teachers)}.\nName as many for the one as for the other, or use `stages` for both."
        )
    _check_maps(probe, key, students + teachers)
    return tuple(zip(students, teachers, strict=True))


def logit_pair(probe: Probe, key: str) -> tuple[Tensor, Tensor]:
    """The probed class logits of student and teacher.

    Raises:
        UserError: they are no logits of the same classes.
    """
    student, teacher = map(class_logits, one_tensor(probe, key))
    if student.ndim != teacher.ndim or student.shape[1] != teacher.shape[1]:
        raise UserError(
            f"{key} on {probe.edge} compares class scores; the student's have shape {tuple(student.shape)}, "
            f"the teacher's {tuple(teacher.shape)}.\nUse the tap `logits` of two networks with the same classes."
        )
    return student, teacher


def _check_maps(probe: Probe, key: str, tensors: tuple[Tensor, ...]) -> None:
    for tensor in tensors:
        if tensor.ndim != 4:
            raise UserError(
                f"{key} on {probe.edge} compares feature maps (N, C, H, W), but a tap gives "
                f"shape {tuple(tensor.shape)}.\nName a map, for example `last`, `stage3` or `stages`."
            )


def need_batch(probe: Probe, key: str, samples: int) -> None:
    """Refuse batches that are too small for a loss that compares samples.

    Raises:
        UserError: the batch holds fewer than ``samples``.
    """
    if probe.batch_size < samples:
        raise UserError(
            f"{key} on {probe.edge} compares the samples of a batch and needs at least {samples}; "
            f"training.batch_size gives {probe.batch_size} per process.\nUse a larger batch or another loss."
        )


def teacher_classifier(probe: Probe, key: str) -> nn.Module:
    """The teacher's classifier, for a loss that passes the student's features through it.

    Raises:
        UserError: the teacher has none.
    """
    if probe.teacher_classifier is None:
        raise UserError(
            f"{key} on {probe.edge} passes the student's features through the teacher's classifier, and this "
            f"teacher has none that stands alone.\nUse another teacher, or a loss without it, for example `fitnet`."
        )
    return probe.teacher_classifier

"""What every knowledge loss is, and what it may know of its edge before training."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.ignored import known_pixels
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What an edge looks like before training: enough to build adapters and to refuse what cannot work.

    Args:
        edge: its name in the user's words, for errors, for example ``T->S1``.
        task: classification or segmentation.
        classes: number of classes; 2 for a single-foreground mask, whose logits have one channel.
        batch_size: samples per step and process.
        student, teacher: the tensors at the edge's taps for a batch of one, values meaningless.
        teacher_classifier: the teacher's own map from embedding to logits, where it has one.
        teacher_learns: True when the teacher trains along, so that what is copied from it now will age.
        train_labels: (n_train,) class of each training sample, or None for masks. The ``ids`` given
            to a loss with ``needs_ids`` index it.
        ignores: masks may have pixels that count nowhere, :data:`~preceptor.specs.IGNORED`.
    """

    edge: str
    task: Task
    classes: int
    batch_size: int
    student: Knowledge
    teacher: Knowledge
    teacher_classifier: nn.Module | None = None
    teacher_learns: bool = False
    train_labels: Tensor | None = None
    ignores: bool = False


@runtime_checkable
class KnowledgeLoss(Protocol):
    """Compares what a student and a teacher say: ``loss(student, teacher, targets)`` -> float32 scalar.

    ``student`` and ``teacher`` are tensors, or tuples of tensors where the setting's tap names several.
    ``targets`` is (N,) or (N, H, W) int64, :data:`~preceptor.specs.IGNORED` where a pixel counts nowhere. A loss never
    detaches the teacher: the transfer does.
    """

    settings: ClassVar[dict[Task, Setting]]

    def __call__(self, student: Knowledge, teacher: Knowledge, targets: Tensor) -> Tensor: ...


def class_logits(logits: Tensor) -> Tensor:
    """Logits of two or more classes: a single foreground channel z becomes the pair (0, z).

    The softmax of that pair is (1 - sigmoid(z), sigmoid(z)), and a temperature acts on z.

    Shapes:
        logits: (N, C) or (N, C, H, W)
        returns: the same, with 2 channels where C is 1
    """
    return logits if logits.shape[1] > 1 else torch.cat([torch.zeros_like(logits), logits], dim=1)


def full_precision(knowledge: Knowledge) -> Knowledge:
    """Half precisions become float32; float32 and float64 stay."""
    return tuple(map(_full, knowledge)) if isinstance(knowledge, tuple) else _full(knowledge)


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _no_scalar(loss: "Loss", returned: object) -> str:
    """What to say of a loss that gives something else than one number."""
    code = type(loss).forward.__code__
    what = (
        f"a tensor of shape {tuple(returned.shape)} and type {str(returned.dtype).removeprefix('torch.')}"
        if isinstance(returned, Tensor)
        else f"{type(returned).__name__} {shorten(repr(returned), 60, placeholder=' …')}"
    )
    return (
        f"loss {loss.key}: forward ({Path(code.co_filename).name}, line {code.co_firstlineno}) returned {what}; "
        "a loss returns one number as a tensor without dimensions, for example the mean over the batch: values.mean()"
    )


class Loss(nn.Module):
    """Base of the losses here: options in ``__init__``, adapters in :meth:`build`, the formula in ``forward``.

    A call runs in full precision: autocast is off inside, and half-precision tensors become float32.

    Class attributes:
        key: name in recipes.
        settings: task -> :class:`~preceptor.knowledge.setting.Setting`; its keys are the tasks that the loss serves.
        needs_ids: True adds ``ids=`` (N,) int64, positions in the training set, to every call.
        needs_statistics: True measures the teacher's tensor over the training part, unaugmented, before a stage begins,
            and calls ``take_statistics(mean, deviation)``, (D,) both.
        needs_labels: True when it reads the class of every image, or of every pixel, so that none may lack one.
        keeps_batch: True when every batch must have the full size (incomplete ones are then dropped).
        needs_shapes: True when it has adapters, or may have some, which depend on the shapes that it compares.
        needs_classes: True when :meth:`build` must know how many classes there are.

    Attributes:
        notes: what the user should know about the loss on this edge, filled by :meth:`build`.
        ignores: masks may have pixels that are to be ignored; set before :meth:`build`.
    """

    key: ClassVar[str]
    settings: ClassVar[dict[Task, Setting]]
    needs_ids: ClassVar[bool] = False
    needs_statistics: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    keeps_batch: ClassVar[bool] = False
    needs_shapes: ClassVar[bool] = False
    needs_classes: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.ignores = False

    def __call__(self, student: Knowledge, teacher: Knowledge, targets: Tensor, **more: Any) -> Tensor:
        with torch.autocast(targets.device.type, enabled=False):
            loss = super().__call__(full_precision(student), full_precision(teacher), targets, **more)
        if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
            raise UserError(_no_scalar(self, loss))
        return loss

    def build(self, probe: Probe) -> None:
        """Make adapters for the probed shapes; raise UserError for an edge on which the loss has no signal."""

    def take_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Mean and standard deviation of each of the teacher's dimensions, for a loss with ``needs_statistics``."""

    def known(self, targets: Tensor, like: Tensor) -> Tensor | None:
        """(N, H, W) True where a position of the map ``like`` counts; None where masks ignore nothing, or for classes.

        A position counts where the nearest pixel of the mask does.
        """
        return known_pixels(targets, like.shape[-2:]) if self.ignores and like.ndim == 4 else None

    def side_by_side(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor] | None:
        """Student's features through the projector, and the teacher's that they are to point to; None without one."""
        return None

    def head(self) -> nn.Module | None:
        """A module from the student's last map to logits that replaces its own head, or None."""
        return None

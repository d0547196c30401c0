"""What every knowledge loss is, and what it may know of its edge before training."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from preceptor.catalogue import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.recipe import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What an edge looks like before training: enough to build adapters and to refuse what cannot work.

    Args:
        edge: its name in the user's words, for errors, for example ``T->S1``.
        task: classification or segmentation.
        classes: number of classes; 2 for a single-foreground mask, whose logits have one channel.
        batch_size: samples per step and process.
        student, teacher: the tensors at the edge's taps for a batch of two, values meaningless.
        teacher_classifier: the teacher's own map from embedding to logits, where it has one.
        train_labels: (n_train,) class of each training sample, or None for masks. The ``ids`` given
            to a loss with ``needs_ids`` index it.
        drops_last: True when incomplete last batches are dropped.
    """

    edge: str
    task: Task
    classes: int
    batch_size: int
    student: Knowledge
    teacher: Knowledge
    teacher_classifier: nn.Module | None = None
    train_labels: Tensor | None = None
    drops_last: bool = False


@runtime_checkable
class KnowledgeLoss(Protocol):
    """Compares what a student and a teacher say: ``loss(student, teacher, targets)`` -> float32 scalar.

    ``student`` and ``teacher`` are tensors, or tuples of tensors where the setting's tap names several.
    ``targets`` is (N,) or (N, H, W) int64. A loss never detaches the teacher: the transfer does.
    """

    settings: ClassVar[dict[Task, Setting]]

    def __call__(self, student: Knowledge, teacher: Knowledge, targets: Tensor) -> Tensor: ...


class Loss(nn.Module):
    """Base of the losses here: options in ``__init__``, adapters in :meth:`build`, the formula in ``forward``.

    Class attributes:
        key: name in recipes.
        settings: task -> :class:`~preceptor.catalogue.Setting`; its keys are the tasks that the loss serves.
        needs_ids: True adds ``ids=`` (N,) int64, positions in the training set, to every call.
        keeps_batch: True when every batch must have the full size (incomplete ones are then dropped).
    """

    key: ClassVar[str]
    settings: ClassVar[dict[Task, Setting]]
    needs_ids: ClassVar[bool] = False
    keeps_batch: ClassVar[bool] = False

    def build(self, probe: Probe) -> None:
        """Make adapters for the probed shapes; raise UserError for an edge on which the loss has no signal."""

    def head(self) -> nn.Module | None:
        """A module from the student's last map to logits that replaces its own head, or None."""
        return None

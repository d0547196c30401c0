"""A knowledge loss that stands alone, to be called in a training loop of one's own."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from preceptor.calls import plainly
from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.catalogue import check_options, losses
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task

Shape = tuple[int, ...]
"""Of a tensor without the batch: (C, H, W) of a map, (D,) of a vector."""

Shapes = Shape | Sequence[Shape]
"""Several where a loss compares several tensors."""


class Standalone(nn.Module):
    """A knowledge loss for a loop of one's own, or for the edges of a cohort: ``loss(student, teacher, targets)``.

    The teacher's tensors are compared as they are: compute them under ``torch.no_grad()``, or detach them.

    Attributes:
        loss: the loss as recipes use it.
    """

    kind: ClassVar[type[Loss]]
    term: ClassVar[str]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()
        self.loss = self.kind(**self._options(args, options))
        self._is_built = False
        self._widths: tuple[list[int], list[int]] = [], []

    @plainly
    def build(
        self,
        *,
        student: Shapes,
        teacher: Shapes,
        task: Task | None = None,
        classes: int | None = None,
        batch_size: int | None = None,
        teacher_classifier: nn.Module | None = None,
        train_labels: Tensor | None = None,
    ) -> Self:
        """Make the adapters, which draw from torch's generator; do so before the optimiser is made.

        Args:
            student, teacher: shapes of what is compared, without the batch.
            task: for a loss of both tasks; classification where it is not given.
            classes: number of classes, where the loss tells them apart.
            batch_size: samples of a batch, where the loss is built for one size.
            teacher_classifier: the teacher's layer from embedding to logits, where the loss uses it.
            train_labels: (n_train,) class of each training sample, where the loss remembers them.

        Raises:
            UserError: it cannot work on these shapes, or wants more.
        """
        if self.loss.keeps_batch and batch_size is None:
            raise UserError(f"{self._called} is built for one size of batch: give build(…, batch_size=…)")
        if self.kind.needs_classes and classes is None:
            raise UserError(f"{self._called} tells classes apart: give build(…, classes=…)")
        probe = Probe(
            edge="teacher->student",
            task=task or self._usual_task,
            classes=classes or 0,
            batch_size=batch_size or _USUAL_BATCH,
            student=_made_up(student),
            teacher=_made_up(teacher),
            teacher_classifier=teacher_classifier,
            train_labels=train_labels,
        )
        self._build(probe)
        return self

    @property
    def key(self) -> str:
        """What it is called in the names of a cohort's terms."""
        return self.term

    @property
    def settings(self) -> Mapping[Task, Setting]:
        """Task -> published setting; its keys are the tasks that the loss serves."""
        return self.kind.settings

    @property
    def is_built(self) -> bool:
        """Whether it has all its parameters."""
        return self._is_built or not self.kind.needs_shapes

    def require_unused(self) -> None:
        """Refuse to build it twice.

        Raises:
            UserError: it is built, or was called.
        """
        if self._is_built:
            raise UserError(
                f"{self._called} is in use already; adapters belong to one edge and one pair of networks, so give each "
                "edge a new one, not built yet"
            )

    def note_built(self) -> None:
        """The cohort of its edge has built it."""
        self._is_built = True

    def forward(
        self, student: Knowledge, teacher: Knowledge, targets: Tensor | None = None, ids: Tensor | None = None
    ) -> Tensor:
        """A scalar in float32.

        Args:
            student, teacher: (N, …) what is compared; tuples where the loss compares several tensors.
            targets: (N,) classes, or (N, H, W) of masks, where the loss looks at them.
            ids: (N,) positions in the training set, where the loss remembers samples.

        Raises:
            UserError: it is not built, or wants targets or ids.
        """
        first = student[0] if isinstance(student, tuple) else student
        if not self.is_built:
            raise UserError(self._how_to_build(_shapes_of(student), _shapes_of(teacher)))
        if not self._is_built:
            self._build(self._probe_of(student, teacher, len(first)))
        self._require_width("student", student, self._widths[0])
        self._require_width("teacher", teacher, self._widths[1])
        if targets is None:
            targets = torch.empty(0, device=first.device).as_subclass(_NotGiven)
        if self.loss.needs_ids and ids is None:
            raise UserError(f"{self._called} remembers every sample: call it with ids=, positions in the training set")
        found: Tensor = self.loss(student, teacher, targets, **({"ids": ids} if self.loss.needs_ids else {}))
        return found

    def named_parameters(self, *args: Any, **more: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """As of any module.

        Raises:
            UserError: it is not built, so that an optimiser would not get them.
        """
        self._require_parameters()
        return super().named_parameters(*args, **more)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As :meth:`named_parameters`."""
        self._require_parameters()
        return super().parameters(recurse)

    def _require_parameters(self) -> None:
        if not self.is_built:
            raise UserError(self._how_to_build("(256, 8, 8)", "(512, 8, 8)"))

    @property
    def _usual_task(self) -> Task:
        return next(iter(self.settings))

    @property
    def _called(self) -> str:
        return type(self).__name__

    def _how_to_build(self, student: str, teacher: str) -> str:
        return (
            f"{self._called} has no parameters yet: they depend on what it compares. Before the optimiser is made, "
            f"build it with the shapes without the batch:\n    loss = {self._called}().build(student={student}, "
            f"teacher={teacher})\nor give it to an edge of a Cohort, and the Cohort a batch of images: probe=images."
        )

    def _options(self, args: Sequence[Any], options: dict[str, Any]) -> dict[str, Any]:
        """All options by name, with the types that the loss wants.

        Raises:
            UserError: an unknown one, with the nearest; a wrong type; too many.
        """
        names = list(inspect.signature(self.kind).parameters)
        if len(args) > len(names):
            raise UserError(
                f"{self._called} takes {len(names)} options ({', '.join(names) or 'none'}), got {len(args)}"
            )
        given = dict(zip(names, args, strict=False))
        twice = [name for name in given if name in options]
        if twice:
            raise UserError(f"{self._called}: {twice[0]} is given twice")
        return check_options(losses()[self.kind.key], {**given, **options})

    def _probe_of(self, student: Knowledge, teacher: Knowledge, count: int) -> Probe:
        one = student[0] if isinstance(student, tuple) else student
        return Probe(
            edge="teacher->student",
            task=self._usual_task,
            classes=max(one.shape[1], 2),
            batch_size=count,
            student=_first(student),
            teacher=_first(teacher),
        )

    def _require_width(self, whose: str, knowledge: Knowledge, built: list[int]) -> None:
        """Refuse other channels than those that adapters were made for."""
        if self.kind.needs_shapes and _widths(knowledge) != built:
            raise UserError(
                f"{self._called} was built for a {whose} of {' and '.join(map(str, built))} channels, got the shape "
                f"{_shapes_of(knowledge)}; build it with that"
            )

    def _build(self, probe: Probe) -> None:
        self.require_unused()
        self.loss.build(probe)
        self._is_built = True
        self._widths = _widths(probe.student), _widths(probe.teacher)


def standalone(name: str, kind: type[Loss]) -> type[Standalone]:
    """The class ``name`` of a loss that stands alone."""
    members = {
        "kind": kind,
        "term": kind.__module__.rpartition(".")[2],
        "__doc__": kind.__doc__,
        "__module__": "preceptor",
        "__signature__": inspect.signature(kind),
    }
    return type(name, (Standalone,), members)


_USUAL_BATCH = 64
"""Samples of a batch where nobody says so; losses ask whether it is large enough."""


class _NotGiven(Tensor):
    """In the place of targets that were not given: whoever looks at them learns that they are wanted."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == cast(Any, Tensor.device).__get__:
            return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]  # torch's
        raise UserError("this loss looks at the right answers too: call it as loss(student, teacher, targets)")


def _several(shapes: Shapes) -> list[Shape]:
    """Shapes as a list, of one too."""
    if all(isinstance(one, int) for one in shapes):
        return [cast(Shape, tuple(shapes))]
    return [tuple(one) for one in cast(Sequence[Shape], shapes)]


def _made_up(shapes: Shapes) -> Knowledge:
    tensors = tuple(torch.zeros(1, *shape) for shape in _several(shapes))
    return tensors[0] if all(isinstance(one, int) for one in shapes) else tensors


def _first(knowledge: Knowledge) -> Knowledge:
    """One sample of what is compared, without its history."""
    if isinstance(knowledge, tuple):
        return tuple(tensor[:1].detach() for tensor in knowledge)
    return knowledge[:1].detach()


def _widths(knowledge: Knowledge) -> list[int]:
    """Channels of what is compared."""
    return [tensor.shape[1] for tensor in (knowledge if isinstance(knowledge, tuple) else (knowledge,))]


def _shapes_of(knowledge: Knowledge) -> str:
    if isinstance(knowledge, tuple):
        return f"[{', '.join(str(tuple(tensor.shape[1:])) for tensor in knowledge)}]"
    return str(tuple(knowledge.shape[1:]))

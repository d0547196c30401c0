"""A cohort of one's own modules: any ``nn.Module``, with feature maps by the names of submodules."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from preceptor.calls import plainly
from preceptor.cohort.cohort import Cohort as Inner
from preceptor.cohort.cohort import DataFacts
from preceptor.cohort.transfer import Transfer
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.face.edges import Frozen, Teaching
from preceptor.face.randoms import untouched
from preceptor.face.wrapping import require_taps, wrapped
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.specs import Task


class Cohort(nn.Module):
    """Modules that train together; a call gives every weighted loss term by name.

    It takes images as your modules take them: normalised, of one size. What the edges compare, and so their adapters,
    is known once it has seen a batch: give ``probe``, or call :meth:`build`, before the optimiser is made; otherwise
    the first call does it.

    Args:
        networks: by name; those in :func:`~preceptor.face.edges.frozen` only teach.
        edges: of :func:`~preceptor.face.edges.teach` and :func:`~preceptor.face.edges.mutual`.
        task_loss: (logits, targets) -> scalar, of every network that learns.
        task_weights: factor of the task loss by network, 1 where not given.
        probe: a batch of images.
        train_labels: (n_train,) class of each training sample, for losses that remember samples.
        seed: of the adapters' first weights.

    Raises:
        UserError: an edge names a network or module that does not exist, or cannot work on these.
    """

    @plainly
    def __init__(
        self,
        networks: Mapping[str, nn.Module | Frozen],
        edges: Sequence[Teaching],
        task_loss: nn.Module | Callable[[Tensor, Tensor], Tensor],
        *,
        task_weights: Mapping[str, float] | None = None,
        probe: Tensor | None = None,
        train_labels: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(networks, Mapping):
            raise UserError(f'networks: {{"A": module, …}} was wanted, got {type(networks).__name__}')
        self._given = dict(networks)
        self.edges = (edges,) if isinstance(edges, Teaching) else tuple(edges)
        if not callable(task_loss) or isinstance(task_loss, type):
            raise UserError(f"task_loss: nn.CrossEntropyLoss() or the like was wanted, got {task_loss!r}")
        self._task_loss = task_loss if isinstance(task_loss, nn.Module) else _Called(task_loss)
        self._task_weights = dict(task_weights or {})
        self._train_labels = train_labels
        self._seed = seed
        self._check()
        self.inner: Inner | None = None
        for register in (self.register_state_dict_pre_hook, self.register_load_state_dict_pre_hook):
            register(_require_built)  # type: ignore[no-untyped-call]  # torch has no types for it
        if probe is not None:
            self.build(probe)

    @property
    def is_built(self) -> bool:
        """Whether adapters are made."""
        return self.inner is not None

    @property
    def task(self) -> Task:
        """What the logits are of, once a batch was seen."""
        return self._built("task").task

    @property
    def learners(self) -> dict[str, nn.Module]:
        """Your modules that learn, by name."""
        return {name: one for name, one in self._given.items() if not isinstance(one, Frozen)}

    @property
    def given(self) -> dict[str, nn.Module]:
        """All your modules by name, and the task loss as ``task_loss``."""
        networks = {name: one.module if isinstance(one, Frozen) else one for name, one in self._given.items()}
        return {"task_loss": self._task_loss, **networks}

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known of the edges, a sentence each."""
        return tuple(self._built("notes").notes)

    @plainly
    def build(self, images: Tensor) -> Self:
        """Make the adapters for modules that take ``images`` (N, C, H, W); all random generators stay as they are.

        Raises:
            UserError: it is built already, or an edge cannot work on these modules.
        """
        if self.inner is not None:
            raise UserError("this cohort is built already; make another one for images of another size")
        if not isinstance(images, Tensor) or images.ndim != 4:
            got = f"the shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
            raise UserError(f"a batch of images (N, C, H, W) was wanted, got {got}")
        for edge in self.edges:
            edge.loss.require_unused()
        with untouched(self.given):
            self.inner = self._made_for(images).train(self.training)
        return self

    def _made_for(self, images: Tensor) -> Inner:
        networks = {name: wrapped(name, one, images, self.edges) for name, one in self._given.items()}
        logits = next(iter(networks.values())).shapes["logits"]
        task: Task = "classification" if len(logits) == 1 else "segmentation"
        require_taps(networks, self.edges, task)
        inner = Inner(
            task=task,
            networks=networks,
            transfers=[_transfer(edge) for edge in self.edges],
            task_loss=self._task_loss,
            task_weights=self._task_weights,
            facts=DataFacts(classes=max(logits[0], 2), batch_size=len(images), train_labels=self._train_labels),
            seed=self._seed,
        )
        inner.frozen_outputs = _as_they_come
        inner.to_device(images.device)
        if images.dtype == torch.float64:  # losses compute in float32 unless they are given more
            inner.losses.double()
        for edge in self.edges:
            edge.loss.note_built()
        self._names = {one.name: edge.name for edge, one in zip(self.edges, inner.transfers, strict=True)}
        return inner

    def forward(self, images: Tensor, targets: Tensor, ids: Tensor | None = None, epoch: int = 1) -> dict[str, Tensor]:
        """Weighted loss terms: ``A/task`` of every network that learns, ``T->A/soft_target`` of every edge.

        Args:
            images: (N, C, H, W) as the modules take them.
            targets: (N,) int64 classes, or (N, H, W) of masks.
            ids: (N,) positions in the training set, for losses that remember samples.
            epoch: the first is 1; weights with a ramp depend on it.
        """
        if self.inner is None:
            self.build(images)
        inner = self._built("call")
        if ids is None and any(edge.loss.needs_ids for edge in inner.transfers):
            raise UserError(
                "a loss here remembers every sample: call the cohort with ids=, positions in the training set"
            )
        places = torch.arange(len(images)) if ids is None else ids.cpu()
        batch = Batch(images, targets, places, places, len(images))
        terms: dict[str, Tensor] = inner(batch, epoch, None)
        return {self._names.get(name, name): value for name, value in terms.items()}

    @torch.no_grad()
    def logits(self, images: Tensor) -> dict[str, Tensor]:
        """What the networks that learn say of ``images``, by name."""
        return {name: self._built("logits").networks[name](images).logits for name in self.learners}

    def named_parameters(self, *args: Any, **more: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Those that learn, adapters too.

        Raises:
            UserError: the adapters are not made yet, so that an optimiser would not get them.
        """
        self._built("named_parameters")
        return super().named_parameters(*args, **more)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As :meth:`named_parameters`."""
        self._built("parameters")
        return super().parameters(recurse)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the frozen modules too, and before it is built all of them."""
        for one in self._given.values():
            if isinstance(one, Frozen):
                one.module._apply(fn)  # type: ignore[no-untyped-call]  # torch has no types for it
            elif self.inner is None:
                one._apply(fn)  # type: ignore[no-untyped-call]  # the same
        if self.inner is not None:
            for network in self.inner.frozen.values():
                network._buffers.update({name: fn(value) for name, value in network.named_buffers(recurse=False)})
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # the same
        return self

    def _built(self, what: str) -> Inner:
        if self.inner is None:
            raise UserError(
                f"{what}: this cohort has not seen a batch yet, so its adapters are not made. Give it one before the "
                "optimiser: Cohort(…, probe=images), or cohort.build(images)"
            )
        return self.inner

    def _check(self) -> None:
        if not self.learners:
            raise UserError("a cohort wants at least one network that learns; all of these are frozen")
        for name, one in self._given.items():
            if not isinstance(one, nn.Module | Frozen):
                raise UserError(f"network {name}: a torch module was wanted, got {type(one).__name__}")
            if not isinstance(name, str) or not name.isidentifier():
                raise UserError(f"network {name!r}: give it a name of letters, digits and _")
        for edge in self.edges:
            if not isinstance(edge, Teaching):
                hint = "; mutual(…) gives several: put a * before it" if isinstance(edge, list) else ""
                raise UserError(f"an edge is made by teach(…) or mutual(…), got {type(edge).__name__}{hint}")
        if len({id(edge.loss) for edge in self.edges}) < len(self.edges):
            raise UserError("two edges share one loss; adapters belong to one edge, so give each a loss of its own")
        strange = sorted(set(self._task_weights) - set(self.learners))
        if strange:
            raise UserError(
                f"task_weights: no network {strange[0]!r} that learns; there are {', '.join(self.learners)}"
            )


class _Called(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self._function(logits, targets)


def _require_built(cohort: Cohort, *_: object) -> None:
    cohort._built("state_dict")


def _as_they_come(name: str, network: Network, batch: Batch, epoch: int) -> Outputs:
    """What a frozen network says, asked batch by batch."""
    said: Outputs = network(batch.images)
    return said


def _transfer(edge: Teaching) -> Transfer:
    return Transfer(
        source=edge.source,
        target=edge.target,
        loss=edge.loss.loss,
        weight=edge.weight,
        student_tap=edge.student_tap,
        teacher_tap=edge.teacher_tap,
        ramp=edge.ramp,
        stop_gradient=edge.stop_gradient,
    )

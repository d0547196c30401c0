"""Steps on a GPU as one CUDA graph: launched at once instead of kernel by kernel.

A step of a small network on a small batch leaves a GPU waiting for the processor, which starts thousands of kernels one
by one. A recorded step starts with one call. What is recorded always reads the same memory, so a batch, what frozen
networks say of it and the learning rate are copied there first; numbers that Python holds are recorded as they are, so
that a step is recorded anew when the weights of the edges change. Frozen networks answer outside of the recording: what
they say may be kept on disk, or asked about several batches at once.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from preceptor.cohort.cohort import Cohort
from preceptor.data.batches import Batch
from preceptor.machine.recorder import RECORDERS, WARM_UP, Recorder, Recording
from preceptor.networks.outputs import Outputs
from preceptor.plan.stage import Stage
from preceptor.training.step import Step
from preceptor.training.terms import Terms

_T = TypeVar("_T")


def recorder_of(stage: Stage, fabric: Fabric) -> Recorder | None:
    """What records the steps of a stage; None where they cannot be recorded, or the recipe fixes the placement."""
    kind = RECORDERS.get(fabric.device.type)
    is_plain = fabric.world_size == 1 and stage.training.precision != "16-mixed"
    return kind() if kind and is_plain and stage.training.placement == "measured" else None


class Graphed:
    """Makes the steps of a stage, recorded where they can be.

    Args:
        whole: images of the batches that are recorded; smaller ones run as they are.
        note: says a line to the user.
    """

    def __init__(self, step: Step, cohort: Cohort, whole: int, recorder: Recorder, note: Callable[[str], None]) -> None:
        self._step, self._cohort, self._whole, self._recorder, self._say_note = step, cohort, whole, recorder, note
        self._warm = 0
        self._is_refused = False
        self._recording: Recording[list[Terms]] | None = None
        self._weights: tuple[float, ...] = ()  # of the edges, in what is recorded

    def __call__(self, batch: Batch, epoch: int, stream: int | None, share: float) -> list[Terms]:
        """See :class:`~preceptor.training.step.Step`."""
        if self._is_refused or len(batch.positions) < self._whole:
            return self._step(batch, epoch, stream, share)
        said = self._step.said(batch, epoch)
        if self._warm < WARM_UP:
            self._warm += 1
            return self._recorder.aside(lambda: self._watched(batch, said, epoch, stream, share))
        weights = tuple(edge.weight_in(epoch) for edge in self._cohort.transfers)
        if self._recording is None or weights != self._weights:
            self._weights, self._recording = weights, None
            try:
                self._recording = self._record(batch, said, epoch, share)
            except RuntimeError as error:  # nothing was done yet
                self._refuse(f"recording failed: {error.__context__ or error}")
                return self._step(batch, epoch, stream, share, said)
        for there, now in zip(self._read(self._batch, self._said), self._read(batch, said), strict=True):
            there.copy_(now, non_blocking=True)
        self._recording()
        return [replace(terms, values=terms.values.clone()) for terms in self._recording.found]

    def _refuse(self, why: str) -> None:
        self._is_refused = True
        self._say_note(f"steps are not replayed as a graph: {why}")

    def _watched(
        self, batch: Batch, said: Mapping[str, Outputs], epoch: int, stream: int | None, share: float
    ) -> list[Terms]:
        """A step as it is, in which whatever cannot be recorded is noticed.

        Operations are looked at in the first one only, for nothing is compiled meanwhile; tensors that a step replaces
        in the later ones, when all are there.
        """
        before = _places(self._cohort)
        with _Noticing() if self._warm == 1 else nullcontext() as noticed:
            terms = self._step(batch, epoch, stream, share, said)
        found = noticed.found if noticed else set()
        if self._warm > 1:
            now = _places(self._cohort)
            found = {f"{name} is replaced by another tensor" for name, _ in now.items() - before.items()}
        if found:
            self._refuse("; ".join(sorted(found)))
        return terms

    def _record(self, batch: Batch, said: Mapping[str, Outputs], epoch: int, share: float) -> Recording[list[Terms]]:
        step = self._step
        mine = replace(
            batch,
            images=batch.images.clone(),
            targets=batch.targets.clone(),
            positions=batch.positions.to(batch.images.device, copy=True),
            batch_group=None,
        )
        answers = {name: _copied(outputs) for name, outputs in said.items()}

        def call() -> list[Terms]:  # without `self`, whose batch and answers are others when a step is recorded anew
            return step(mine, epoch, None, share, answers)

        self._batch, self._said = mine, answers
        return self._recorder.record(call)

    def _read(self, batch: Batch, said: Mapping[str, Outputs]) -> list[Tensor]:
        """Everything that a step reads and that differs from one step to the next."""
        taps = {name: self._cohort.frozen[name].taps_read for name in said}
        answers = [cast(Tensor, outputs.at(tap)) for name, outputs in said.items() for tap in taps[name]]
        ids = [batch.positions] if any(edge.loss.needs_ids for edge in self._cohort.transfers) else []
        return [batch.images, batch.targets, *ids, *answers]


def _places(module: nn.Module) -> dict[str, int]:
    """Where in memory the tensors of a module lie, buffers or not.

    A replay would go on reading one that a step replaces, whose memory by then belongs to nobody.
    """
    found = {}
    for path, part in module.named_modules():
        own = {**vars(part), **part._buffers, **part._parameters}
        for name in own.keys() - {"_buffers", "_parameters", "_modules"}:
            for tensor in tree_leaves(own[name]):
                if isinstance(tensor, Tensor):
                    where = tensor.data_ptr() if tensor.layout == torch.strided else id(tensor)
                    found[f"{path}.{name}".removeprefix(".")] = where
    return found


def _copied(outputs: Outputs) -> Outputs:
    maps = {tap: tensor.clone() for tap, tensor in outputs.maps.items()}
    return Outputs(outputs.logits.clone(), outputs.embedding.clone(), maps)


class _Noticing(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is untyped
    """Notices operations that a recording cannot hold.

    Attributes:
        found: which, and why.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is untyped
        self.found: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(zip((one.name for one in func._schema.arguments), args, strict=False)) | (kwargs or {})
        found = func(*args, **(kwargs or {}))
        if why := _unfit(func, given, found):
            self.found.add(f"{func.overloadpacket.__name__} {why}")
        return found


def _unfit(func: Any, given: Mapping[str, Any], found: Any) -> str | None:
    """Why a recording cannot hold an operation, if so."""
    tags = set(func.tags)
    if torch.Tag.nondeterministic_seeded in tags and given.get("dropout_p", 0.0 if "attention" in func.name() else 1.0):
        return "draws random numbers"
    if {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & tags:
        chosen = [one for one in given.get("indices", ()) if one is not None]
        if not chosen or any(one.dtype in (torch.bool, torch.uint8) for one in chosen):
            return "waits for the device"
    # A number in a tensor on the processor may be an operand; it may not be copied.
    least = 0 if "copy" in func.name() else 1
    every = [leaf for leaf in tree_leaves((given, found)) if isinstance(leaf, Tensor) and leaf.dim() >= least]
    devices = {tensor.device.type for tensor in every}
    return f"copies between {' and '.join(sorted(devices))}" if len(devices) > 1 else None

"""Who teaches whom, in a cohort of one's own modules."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

from torch import nn

from preceptor.errors import UserError
from preceptor.face.standalone import Standalone
from preceptor.knowledge.setting import Tap
from preceptor.plan.edge import Edge, Ramp, facing


class Teaching(Edge[Standalone]):
    """One network teaches another with a loss that the cohort is going to build."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """A module of a cohort that teaches and does not learn."""

    module: nn.Module


def frozen(module: nn.Module) -> Frozen:
    """``module`` as a network of a cohort that only teaches: without gradients, always in eval mode.

    From when the cohort is built, its parameters have ``requires_grad=False``.
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"frozen: a torch module was wanted, got {type(module).__name__}")
    return Frozen(module)


def teach(
    source: str,
    target: str,
    loss: Standalone,
    weight: float = 1.0,
    *,
    tap: Tap | None = None,
    teacher_tap: Tap | None = None,
    ramp: Ramp | None = None,
    stop_gradient: bool = True,
) -> Teaching:
    """``source`` teaches ``target``.

    Args:
        weight: factor of the loss.
        tap: what is compared: ``logits``, ``embedding`` (what the last linear layer gets) or the name of a submodule,
            as in ``module.named_modules()``; a tuple of them for a loss that compares several. The student's, and the
            teacher's too unless ``teacher_tap`` says otherwise.
        ramp: how the weight grows over the first epochs.
        stop_gradient: the source learns nothing from this edge.

    Raises:
        UserError: ``loss`` is none.
    """
    if isinstance(loss, type):
        raise UserError(f"{source} teaches {target}: give an instance, {loss.__name__}(), not the class")
    if not isinstance(loss, Standalone):
        raise UserError(
            f"{source} teaches {target}: a loss such as preceptor.SoftTarget(4) was wanted, got {type(loss).__name__}"
        )
    return Teaching(
        source=source,
        target=target,
        loss=loss,
        weight=weight,
        student_tap=tap,
        teacher_tap=teacher_tap,
        ramp=ramp,
        stop_gradient=stop_gradient,
    )


def mutual(
    peers: Sequence[str], loss: Standalone | Callable[[], Standalone], weight: float = 1.0, *, tap: Tap | None = None
) -> list[Teaching]:
    """Every one of ``peers`` teaches every other; what reaches a peer has the weight ``weight`` in all.

    Args:
        loss: each edge gets a copy of it.
        tap: as of :func:`teach`.

    Raises:
        UserError: fewer than two peers.
    """
    if isinstance(peers, str) or len(peers) < 2:
        raise UserError(f"mutual: two or more names of networks were wanted, got {peers!r}")
    return [
        teach(source, target, deepcopy(loss) if isinstance(loss, Standalone) else loss(), weight * share, tap=tap)
        for source, target, share in facing(peers)
    ]

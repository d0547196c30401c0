"""Who teaches whom, in a cohort of one's own modules."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from numbers import Real

from torch import nn

from preceptor.calls import plainly
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


@plainly
def frozen(module: nn.Module) -> Frozen:
    """``module`` as a network of a cohort that only teaches: without gradients, always in eval mode.

    From when the cohort is built, its parameters have ``requires_grad=False``.
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"frozen: a torch module was wanted, got {type(module).__name__}")
    return Frozen(module)


@plainly
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
        ramp: how the weight grows over the first epochs: ``Ramp(epochs=5)``.
        stop_gradient: the source learns nothing from this edge.

    Raises:
        UserError: ``loss`` is none, or another argument is not what it should be.
    """
    for name in (source, target):
        if not isinstance(name, str):
            raise UserError(f"teach: two networks by their names in the cohort were wanted, got {type(name).__name__}")
    if isinstance(loss, type):
        raise UserError(f"{source} teaches {target}: give an instance, {loss.__name__}(), not the class")
    if not isinstance(loss, Standalone):
        raise UserError(
            f"{source} teaches {target}: a loss such as preceptor.SoftTarget(4) was wanted, got {type(loss).__name__}"
        )
    called = f"{source} teaches {target}"
    if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
        raise UserError(f"{called}: weight={weight!r}: a number was wanted")
    if ramp is not None and not isinstance(ramp, Ramp):
        raise UserError(f"{called}: ramp={ramp!r}: Ramp(epochs=5) or the like was wanted")
    return Teaching(
        source=source,
        target=target,
        loss=loss,
        weight=float(weight),
        student_tap=_tap(called, "tap", tap),
        teacher_tap=_tap(called, "teacher_tap", teacher_tap),
        ramp=ramp,
        stop_gradient=stop_gradient,
    )


@plainly
def mutual(
    peers: Sequence[str],
    loss: Standalone | Callable[[], Standalone],
    weight: float = 1.0,
    *,
    tap: Tap | Mapping[str, Tap] | None = None,
    ramp: Ramp | None = None,
    stop_gradient: bool = True,
) -> list[Teaching]:
    """Every one of ``peers`` teaches every other; what reaches a peer has the weight ``weight`` in all.

    Args:
        loss: each edge gets a copy of it.
        tap: as of :func:`teach`, of all peers, or by peer where they are built differently: ``{"A": …, "B": …}``.
        ramp, stop_gradient: as of :func:`teach`.

    Raises:
        UserError: fewer than two peers, or an argument is not what :func:`teach` wants.
    """
    if isinstance(peers, str) or not isinstance(peers, Sequence) or len(peers) < 2:
        raise UserError(f"mutual: two or more names of networks were wanted, got {peers!r}")
    by_peer = tap if isinstance(tap, Mapping) else dict.fromkeys(peers, tap)
    if set(by_peer) != set(peers):
        raise UserError(f"mutual: tap has {', '.join(map(str, by_peer))}, and the peers are {', '.join(peers)}")
    if not isinstance(loss, Standalone) and not callable(loss):
        raise UserError(f"mutual: a loss such as preceptor.SoftTarget(4) was wanted, got {type(loss).__name__}")
    return [
        teach(
            source,
            target,
            deepcopy(loss) if isinstance(loss, Standalone) else loss(),
            weight * share,
            tap=by_peer[target],
            teacher_tap=by_peer[source] if by_peer[source] != by_peer[target] else None,
            ramp=ramp,
            stop_gradient=stop_gradient,
        )
        for source, target, share in facing(peers)
    ]


def _tap(called: str, argument: str, tap: Tap | None) -> Tap | None:
    if tap is None or (isinstance(tap, str) and tap):
        return tap
    if isinstance(tap, list | tuple) and tap and all(isinstance(one, str) for one in tap):
        return tuple(tap)
    raise UserError(f"{called}: {argument}={tap!r}: the name of a submodule, or a tuple of names, was wanted")

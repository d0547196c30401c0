"""One's own modules as the networks of a cohort, with the maps that its edges name."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.face.edges import Frozen, Teaching
from preceptor.face.taps import require_module
from preceptor.networks.blueprint import PlainSight
from preceptor.networks.network import Network
from preceptor.networks.outputs import is_stage
from preceptor.networks.wrap import Wrapped
from preceptor.specs import Task

_OF_ALL = {"logits", "embedding", "last", "stages"}
"""Taps that are no names of modules."""


def wrapped(name: str, given: nn.Module | Frozen, images: Tensor, edges: Sequence[Teaching]) -> Network:
    """A module as a network that takes images like these, as they are.

    Raises:
        UserError: it has no submodule that an edge names, or that one gives no map.
    """
    module = given.module if isinstance(given, Frozen) else given
    channels, height, width = images.shape[1:]
    sight = PlainSight(image_size=(height, width), mean=(0.0,) * channels, std=(1.0,) * channels)
    network = Wrapped(module, list(_paths(name, module, edges)), sight=sight)
    if isinstance(given, Frozen):
        network.freeze()
    return network


def require_taps(networks: Mapping[str, Network], edges: Sequence[Teaching], task: Task) -> None:
    """Say what to name where a loss compares maps and none is named.

    Raises:
        UserError: a network has no such tap.
    """
    for edge in edges:
        if task not in edge.loss.settings:
            continue  # the cohort says so
        for end, tap in zip((edge.target, edge.source), edge.taps(task), strict=True):
            for one in (tap,) if isinstance(tap, str) else tap:
                if end in networks and not _has(networks[end], one):
                    called = type(edge.loss).__name__
                    raise UserError(
                        f"edge {edge.name}: {end} has no {one!r}. Name what {called} compares by modules of yours, as "
                        f'in teach("{edge.source}", "{edge.target}", {called}(), tap="layer3"), with teacher_tap= '
                        "where the teacher's is called otherwise"
                    )


def _has(network: Network, tap: str) -> bool:
    return tap in network.taps or (tap == "stages" and "last" in network.taps)


def _paths(name: str, module: nn.Module, edges: Sequence[Teaching]) -> Iterator[str]:
    """The submodules that edges name, in the order in which the module has them."""
    wanted = {tap for edge in edges for end, tap in _named_taps(edge) if end == name}
    modules = dict(module.named_modules())
    for tap in sorted(wanted - _OF_ALL):
        if not is_stage(tap):
            require_module(tap, modules, f"{name} ({type(module).__name__})")
    yield from (path for path in modules if path in wanted)


def _named_taps(edge: Teaching) -> Iterator[tuple[str, str]]:
    """(network, tap) of what an edge reads by a name that the user gave."""
    student, teacher = edge.student_tap, edge.teacher_tap or edge.student_tap
    for end, tap in ((edge.target, student), (edge.source, teacher)):
        yield from ((end, one) for one in ((tap,) if isinstance(tap, str) else tap or ()))

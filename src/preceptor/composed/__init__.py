"""Networks that are built on others: one kind a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from preceptor.composed.base import ComposedNetwork
from preceptor.composed.committee import Committee
from preceptor.composed.exits import EarlyExit, Exit, early_exit
from preceptor.composed.fused import FusedClassifier
from preceptor.composed.mean import MeanLogits
from preceptor.errors import UserError
from preceptor.inside import inside
from preceptor.networks import build
from preceptor.networks.export import CONFIG, OWN_KEY, WEIGHTS
from preceptor.networks.network import Network
from preceptor.networks.verify import verified_weights
from preceptor.networks.weights import read_config, reason_of

COMPOSED: dict[str, Callable[..., Network]] = {
    **{kind.kind: kind for kind in (Committee, Exit, FusedClassifier, MeanLogits)},
    EarlyExit.kind: early_exit,
}
"""Kind -> what makes such a network of its sources and options."""


def load_network(folder: Path | str, *, trust: bool = False) -> Network:
    """The network that :meth:`Network.save` wrote, whatever its kind, in eval mode.

    Args:
        trust: run the Python code by which a network of somebody's own was made.

    Raises:
        UserError: not a folder that preceptor wrote, or one whose code is not trusted.
        DamagedFileError: one that is not what was written.
    """
    folder = Path(folder)
    own: Mapping[str, Any] = read_config(folder).get(OWN_KEY, {})
    if "built" not in own:
        return build.load_plain_network(folder, trust=trust)
    saved = own["built"]
    if saved["kind"] not in COMPOSED:
        raise UserError(f"{folder}: is of a kind {saved['kind']!r} that this version of preceptor does not know")
    sources = {
        name: load_network(inside(folder / "sources", name, said_by=folder / CONFIG), trust=trust)
        for name in saved["sources"]
    }
    bare = COMPOSED[saved["kind"]](sources, **saved["options"])
    note = verified_weights(folder / WEIGHTS, own) if (folder / WEIGHTS).is_file() else None
    try:
        bare.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{folder / WEIGHTS}: missing, damaged or of another network: {reason_of(error)}") from error
    network = (bare.alone(sources) if isinstance(bare, ComposedNetwork) else bare).eval()
    network.notes = (*filter(None, [note]), *(one for source in sources.values() for one in source.notes))
    return network


__all__ = ["COMPOSED", "load_network"]

"""Networks that are built on others: one kind a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from preceptor.built.base import Built
from preceptor.built.committee import Committee
from preceptor.built.exits import EarlyExit, Exit, early_exit
from preceptor.built.fused import FusedClassifier
from preceptor.built.mean import MeanLogits
from preceptor.networks import build
from preceptor.networks.export import OWN_KEY, WEIGHTS
from preceptor.networks.network import Network
from preceptor.networks.weights import read_config

BUILT: dict[str, Callable[..., Network]] = {
    **{kind.kind: kind for kind in (Committee, Exit, FusedClassifier, MeanLogits)},
    EarlyExit.kind: early_exit,
}
"""Kind -> what makes such a network of its sources and options."""


def load_network(folder: Path | str) -> Network:
    """The network that :meth:`Network.save` wrote, whatever its kind, in eval mode.

    Raises:
        UserError: not a folder that preceptor wrote.
    """
    folder = Path(folder)
    own: Mapping[str, Any] = read_config(folder).get(OWN_KEY, {})
    if "built" not in own:
        return build.load_network(folder)
    saved = own["built"]
    sources = {name: load_network(folder / "sources" / name) for name in saved["sources"]}
    bare = BUILT[saved["kind"]](sources, **saved["options"])
    bare.load_state_dict(load_file(folder / WEIGHTS))
    return (bare.alone(sources) if isinstance(bare, Built) else bare).eval()


__all__ = ["BUILT", "Built", "load_network"]

"""Networks that are built on others: they read what other networks of their cohort say of a batch.

A fused head, an early exit and a committee of teachers are of this kind. In a cohort such a network holds nothing
but its own parameters and gets the others' outputs, which are computed once for all who read them. Standing alone
(evaluated, exported) it holds the networks that it reads.
"""

import copy
import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from preceptor.networks.blueprint import Blueprint
from preceptor.networks.export import OWN_KEY, save_network
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.networks.preprocessing import STRETCHED, Preprocessing

_HELD = "sources."
V = TypeVar("V")


class ComposedNetwork(Network):
    """A network that reads other networks of its cohort.

    Args:
        sources: the networks that it reads, by the names that they have in the cohort. Only their shapes are used;
            they are not kept.
        inlets: taps that are read, by source.

    Attributes:
        found_at: the name that each source has in its cohort, where several runs may stand side by side.

    Class attributes:
        kind: its name in saved files.
    """

    kind: ClassVar[str]

    def __init__(self, sources: Mapping[str, Network], inlets: Mapping[str, tuple[str, ...]]) -> None:
        assert not any(isinstance(source, ComposedNetwork) for source in sources.values()), (
            "it reads networks that are not built"
        )
        first = next(iter(sources.values()))
        super().__init__(first.blueprint)
        self.inlets = dict(inlets)
        self.found_at = {name: name for name in inlets}
        self.sources = nn.ModuleDict()  # filled when it stands alone

    @abstractmethod
    def combine(self, outputs: Mapping[str, Outputs], targets: Tensor | None = None) -> Outputs:
        """What it says, given what its sources say.

        Args:
            outputs: of the sources, by name.
            targets: the truth while training, for those whose answer depends on it; None in use.
        """

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Arguments besides ``sources`` that make it again, as JSON knows them."""

    @property
    def wants_scores(self) -> bool:
        """Whether it is to be told its sources' validation scores, by :meth:`take_scores`, before it answers."""
        return False

    def take_scores(self, scores: Mapping[str, float]) -> None:
        """Be told the validation score of each source; the run measures it when a stage begins."""

    def among(self, cohort: Mapping[str, V]) -> dict[str, V]:
        """What ``cohort`` has of each source, by the name under which this network knows it."""
        return {name: cohort[self.found_at[name]] for name in self.inlets}

    def forward(self, images: Tensor) -> Outputs:
        assert self.sources, "only a built network that stands alone takes images"
        return self.combine({name: source(images) for name, source in self.sources.items()})

    def alone(self, networks: Mapping[str, Network]) -> Self:
        """The same network, its parameters shared, with those of ``networks`` that it reads as parts of it."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, "sources": nn.ModuleDict(self.among(networks))}
        return twin

    @torch.no_grad()
    def glance_at(self, seen: Mapping[str, Outputs]) -> Outputs:
        """What it says of the image of which its sources say ``seen``, in eval mode; notes its shapes."""
        training = self.training
        self.eval()
        outputs = self.combine(self.among(seen))
        self.train(training)
        self._note_shapes(outputs)
        return outputs

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        """Write its own parameters into ``folder`` and each network that it reads into ``folder/sources/NAME``."""
        sources = cast(Mapping[str, Network], dict(self.sources.items()))
        for name, source in sources.items():
            source.save(folder / "sources" / name, images)
        bare = copy.copy(self)
        bare._modules = {name: part for name, part in self._modules.items() if name != "sources"}
        note = f"a network built on {', '.join(sources)}: load it with preceptor.composed.load_network"
        built = {"kind": self.kind, "sources": list(sources), "options": self.options(), "note": note}
        json.dumps(built)  # what cannot be saved is found before anything is written
        save_network(folder, bare, composed_config(built, self.blueprint, images), self.blueprint.classes)


def composed_config(built: Mapping[str, Any], blueprint: Blueprint, images: Preprocessing) -> dict[str, Any]:
    """The config of a network that only :func:`preceptor.composed.load_network` loads; ``built``: how it is made."""
    described = images.described_for_sources(blueprint) if built["sources"] else images.described(blueprint)
    own = {"built": dict(built), "classes": list(blueprint.classes), **described}
    return {"architecture": built["note"], "label_names": list(blueprint.classes), OWN_KEY: own}


def standing(networks: Mapping[str, Network]) -> dict[str, Network]:
    """``networks`` of a cohort as they are used, each on its own; parameters are shared, not copied."""
    return {name: net.alone(networks) if isinstance(net, ComposedNetwork) else net for name, net in networks.items()}


def unshared_networks(networks: Mapping[str, Network]) -> dict[str, Network]:
    """Like :func:`standing`, but what a built network reads is a copy of its own, to be given weights of its own.

    A frozen one has none to be given: it goes on reading the others as they are, and none of them is there twice.
    """

    def apart_from(network: Network) -> Network:
        return copy.deepcopy(network) if isinstance(network, ComposedNetwork) and not network.is_frozen else network

    return {name: apart_from(network) for name, network in standing(networks).items()}


def own_state(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of the saved ``state`` is ``network``'s own in a cohort, where others hold what it reads."""
    return {
        key: value
        for key, value in state.items()
        if not (isinstance(network, ComposedNetwork) and key.startswith(_HELD))
    }


def answers(networks: Mapping[str, Network], images: Tensor) -> dict[str, Outputs]:
    """What each of ``networks``, standing alone, says of ``images``; what several of them read is computed once."""
    known: dict[int, Outputs] = {}

    def ask(network: Network) -> Outputs:
        if id(network) not in known:
            if isinstance(network, ComposedNetwork):
                parts = cast(Mapping[str, Network], dict(network.sources.items()))
                known[id(network)] = network.combine({name: ask(part) for name, part in parts.items()})
            else:
                known[id(network)] = network(images)
        return known[id(network)]

    return {name: ask(network) for name, network in networks.items()}

"""Exits: classifiers on the stages of a network, in training beside it and in use instead of what comes after."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from preceptor.composed.base import ComposedNetwork, composed_config
from preceptor.errors import UserError
from preceptor.knowledge.maps import spatial_mean
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.build import build_network
from preceptor.networks.classifier import Classifier
from preceptor.networks.export import save_network
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.networks.preprocessing import STRETCHED, Preprocessing


class Branch(nn.Module):
    """From a stage map to logits: a bottleneck to the size and width of the last stage, pooling, a linear layer.

    The bottleneck is Conv1x1 to a quarter of the width, Conv k×k with stride k, Conv1x1 to the width, each with
    batch normalisation and ReLU; k is how many times larger the map is than the last stage's, at least 1.

    Args:
        channels: of the stage map.
        stride: k, for height and width.
        width: channels of the last stage, and length of the embedding.

    Source: Zhang et al. 2019, arXiv:1905.08094, as a public re-implementation has it.
    Differs: convolutions have no bias, since batch normalisation follows.
    """

    def __init__(self, channels: int, stride: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        middle = max(width // 4, 1)
        self.bottleneck = nn.Sequential(
            *_normalised(nn.Conv2d(channels, middle, kernel_size=1, bias=False)),
            *_normalised(nn.Conv2d(middle, middle, kernel_size=stride, stride=stride, bias=False)),
            *_normalised(nn.Conv2d(middle, width, kernel_size=1, bias=False)),
        )
        self.linear = nn.Linear(width, classes)

    def forward(self, stage_map: Tensor) -> Outputs:
        last = self.bottleneck(stage_map)
        embedding = spatial_mean(last)
        return Outputs(self.linear(embedding), embedding, {"last": last})


class Exit(ComposedNetwork):
    """A classifier on one stage of another; what it learns, the stages up to there learn too.

    Args:
        sources: the network that has the stage.
        stage: 1 is the finest; the last stage has the network's own head.

    Raises:
        UserError: not a classifier, no such stage, or the last one.
    """

    kind = "exit"

    def __init__(self, sources: Mapping[str, Network], *, stage: int) -> None:
        ((name, network),) = sources.items()
        stages = stages_with_exits(network)
        if not 1 <= stage < len(stages):
            raise UserError(
                f"{name} ({network.blueprint.spec.architecture}) has no exit {stage}: it has {len(stages)} stages, so "
                f"that there can be exits 1 to {len(stages) - 1}; the last stage ends in its own head"
            )
        self.tap = stages[stage - 1]
        super().__init__(sources, {name: (self.tap,)})
        self.stage = stage
        (channels, *size), (width, *last_size) = network.shapes[self.tap], network.shapes[stages[-1]]
        self.stride = cast(tuple[int, int], tuple(max(a // b, 1) for a, b in zip(size, last_size, strict=True)))
        self.branch = Branch(channels, self.stride, width, self.blueprint.logit_channels)
        # What is to be exported is tried now and not after training.
        cast(Classifier, network).up_to(self.tap)

    def combine(self, outputs: Mapping[str, Outputs], targets: Tensor | None = None) -> Outputs:
        (name,) = self.inlets
        found: Outputs = self.branch(outputs[name].maps[self.tap])
        return found if self.wants("last") else Outputs(found.logits, found.embedding)

    @property
    def classifier(self) -> nn.Module:
        return self.branch.linear

    def deployed(self) -> "EarlyExit":
        """Without the stages that it does not need."""
        (source,) = self.sources.children()
        return EarlyExit(cast(Classifier, source), copy.deepcopy(self.branch), stage=self.stage, stride=self.stride)

    def options(self) -> dict[str, Any]:
        return {"stage": self.stage}


class EarlyExit(Network):
    """A network that ends at one of its stages: that :class:`Exit` as it is used.

    Args:
        network: it is copied up to the stage.
    """

    kind: ClassVar[str] = "early_exit"

    def __init__(self, network: Classifier, branch: Branch, *, stage: int, stride: tuple[int, int]) -> None:
        super().__init__(network.blueprint)
        self.has_new_head = False
        self.stage = stage
        self.stride = stride
        self.tap = stages_with_exits(network)[stage - 1]
        self.trunk = network.up_to(self.tap)
        self.branch = branch
        self.to(network.mean.device).eval().measure_shapes()

    def forward(self, images: Tensor) -> Outputs:
        stage_map = self.trunk(self.prepare(images))
        found: Outputs = self.branch(stage_map)
        maps = {self.tap: stage_map, **found.maps}
        return Outputs(found.logits, found.embedding, {name: one for name, one in maps.items() if self.wants(name)})

    @property
    def classifier(self) -> nn.Module:
        return self.branch.linear

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        """Write one folder that holds everything; :func:`preceptor.composed.load_network` reads it."""
        note = f"an exit of {self.blueprint.spec.architecture}: load it with preceptor.composed.load_network"
        options = {
            "blueprint": self.blueprint.to_json(),
            "stage": self.stage,
            "stride": list(self.stride),
            "width": self.branch.linear.in_features,
        }
        built = {"kind": self.kind, "sources": [], "options": options, "note": note}
        save_network(folder, self, composed_config(built, self.blueprint, images), self.blueprint.classes)


def early_exit(
    sources: Mapping[str, Network], *, blueprint: Mapping[str, Any], stage: int, stride: list[int], width: int
) -> EarlyExit:
    """The exit with these options of a saved one, its weights not yet loaded."""
    assert not sources
    whole = replace(Blueprint.from_json(blueprint), adapter=None)
    network = build_network(
        whole.spec,
        task=whole.task,
        classes=whole.classes,
        image_size=whole.image_size,
        channels=whole.channels,
        seed=0,
    )
    (channels, *_), (height, across) = network.shapes[stages_with_exits(network)[stage - 1]], stride
    branch = Branch(channels, (height, across), width, whole.logit_channels)
    return EarlyExit(cast(Classifier, network), branch, stage=stage, stride=(height, across))


def stages_with_exits(network: Network) -> tuple[str, ...]:
    """Names of its stage maps, finest first.

    Raises:
        UserError: it is no classifier.
    """
    if not isinstance(network, Classifier):
        raise UserError(f"a {type(network).__name__.lower()} has no exits; they end in one answer for an image")
    return tuple(network.stages)


def _normalised(convolution: nn.Conv2d) -> tuple[nn.Module, nn.Module, nn.Module]:
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()

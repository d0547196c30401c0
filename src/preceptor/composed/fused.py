"""A classifier on the fused maps of several networks: same levels, and levels across."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, cast

import torch
from torch import Tensor, nn

from preceptor.composed.base import ComposedNetwork
from preceptor.errors import UserError
from preceptor.knowledge.blocks import AdapterNorm, conv_norm_relu
from preceptor.knowledge.maps import spatial_mean, to_common_size
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs, stages_of

WIDEST = 256
"""Most channels of a projected map."""

DROPOUT = 0.2

Place = tuple[str, int]
"""A source and a level, 0 the finest that is fused."""


class FusionBlock(nn.Module):
    """Mixes two maps: concatenation, depthwise 3x3, pointwise 1x1, each with batch normalisation and ReLU.

    Shapes:
        (N, C, H, W) and (N, C', H', W') to (N, outputs, H, W); the larger map is average-pooled

    Source: Kim et al. 2020, arXiv:1904.09058
    """

    def __init__(self, first: int, second: int, outputs: int) -> None:
        super().__init__()
        channels = first + second
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            AdapterNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, outputs, 1, bias=False),
            AdapterNorm(outputs),
            nn.ReLU(),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        fused: Tensor = self.layers(torch.cat(to_common_size(first, second), dim=1))
        return fused


class FusedClassifier(ComposedNetwork):
    """Pairs of stage maps of different networks, fused, pooled and classified together.

    1. *Projection*: each map of level l goes through Conv1x1 (no bias)-BN-ReLU to c_l channels, the fewest that
       a source has at that level, at most 256.
    2. *Fusion*: for every two sources A, B the pairs (A_l, B_l), and across the levels (A_l, B_l+1) and
       (A_l+1, B_l), each through a :class:`FusionBlock` to c_l channels; the
       larger map of a pair is average-pooled to the size of the smaller.
    3. *Classifier*: the pooled vectors of all pairs, side by side -> dropout 0.2 -> linear.

    Args:
        levels: how many of each source's last stages are fused.
        cross_level: fuse each level with the next deeper one of the other network, too.
        detach_maps: the sources learn nothing from what this network learns.

    Raises:
        UserError: a source has fewer stages.

    Source: this package; the block is that of Kim et al. 2020, arXiv:1904.09058.
    """

    kind = "fused"

    def __init__(
        self, sources: Mapping[str, Network], *, levels: int = 2, cross_level: bool = True, detach_maps: bool = False
    ) -> None:
        taps = {name: _last_stages(name, source, levels) for name, source in sources.items()}
        super().__init__(sources, taps)
        self.levels, self.cross_level, self.detach_maps = levels, cross_level, detach_maps
        channels = {name: [sources[name].shapes[tap][0] for tap in taps[name]] for name in sources}
        widths = [min(WIDEST, *(has[level] for has in channels.values())) for level in range(levels)]
        self.projections = nn.ModuleDict(
            {
                name: nn.ModuleList(
                    nn.Sequential(*conv_norm_relu(count, width)) for count, width in zip(has, widths, strict=True)
                )
                for name, has in channels.items()
            }
        )
        self.pairs = pairs_of(tuple(sources), levels, cross_level=cross_level)
        fused = [widths[min(level, other)] for (_, level), (_, other) in self.pairs]
        self.blocks = nn.ModuleList(
            FusionBlock(widths[level], widths[other], width)
            for ((_, level), (_, other)), width in zip(self.pairs, fused, strict=True)
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.linear = nn.Linear(sum(fused), self.blueprint.logit_channels)

    def combine(self, outputs: Mapping[str, Outputs], targets: Tensor | None = None) -> Outputs:
        projected: dict[Place, Tensor] = {}
        for name, taps in self.inlets.items():
            for level, tap in enumerate(taps):
                level_map = outputs[name].maps[tap]
                projection = cast(nn.ModuleList, self.projections[name])[level]
                projected[name, level] = projection(level_map.detach() if self.detach_maps else level_map)
        pooled = [
            spatial_mean(block(projected[one], projected[other]))
            for block, (one, other) in zip(self.blocks, self.pairs, strict=True)
        ]
        embedding = torch.cat(pooled, dim=1)
        return Outputs(self.linear(self.dropout(embedding)), embedding)

    def options(self) -> dict[str, Any]:
        return {"levels": self.levels, "cross_level": self.cross_level, "detach_maps": self.detach_maps}


def pairs_of(sources: tuple[str, ...], levels: int, *, cross_level: bool) -> list[tuple[Place, Place]]:
    """The places that are fused with each other: of every two sources, level by level."""
    found: list[tuple[Place, Place]] = []
    for one, other in combinations(sources, 2):
        for level in range(levels):
            found.append(((one, level), (other, level)))
            if cross_level and level + 1 < levels:
                found += [((one, level), (other, level + 1)), ((one, level + 1), (other, level))]
    return found


def _last_stages(name: str, source: Network, levels: int) -> tuple[str, ...]:
    stages = stages_of(source.taps)
    if len(stages) < levels:
        raise UserError(
            f"{name} ({source.blueprint.spec.architecture}) has {len(stages)} stages, {levels} levels are to be fused; "
            "set fewer with technique.levels, or take another architecture"
        )
    return tuple(stages[-levels:])

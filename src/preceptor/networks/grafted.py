"""Networks in which blocks of one stand among blocks of another, and what is left when all have been replaced."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.networks.blocks import blocks_of
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.export import OWN_KEY, save_network
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.networks.preprocessing import STRETCHED, Preprocessing
from preceptor.networks.taps import mean_over_positions

MapSize = tuple[int, int]


class Grafted(Network):
    """A host network in which a row of blocks has given way to a student's.

    Before a student block stands a 1x1 convolution with bias from the host's channels to the student's, after it one
    back (the first block takes images, the last gives logits, so they have none there). Where host and student meet
    and their maps differ in size, the map is resized; between two student blocks it keeps the student's size.

    The host's blocks are used as they are and are no part of this network: they are not trained, saved or counted,
    and whoever brings the host freezes it. Gradient flows through them.

    Taps: ``stage1`` …, of a replaced block what the student's block says; ``last`` is the last of these.

    Args:
        host: gives all blocks that are not replaced.
        student: gives the blocks of ``replaced``, counted from 0.

    Raises:
        UserError: one of them is no chain of blocks, or they have different numbers of blocks.

    Source: Shen et al. 2021, arXiv:2012.04915; resizing is ours, for networks whose stages differ in size.
    """

    def __init__(self, host: Network, student: Network, replaced: range) -> None:
        prepares = student if 0 in replaced else host
        super().__init__(student.blueprint, prepares=prepares.blueprint)
        theirs, ours = blocks_of(host), blocks_of(student)
        if len(theirs) != len(ours):
            names = [
                f"{one.blueprint.spec.architecture} {len(blocks)}" for one, blocks in ((host, theirs), (student, ours))
            ]
            raise UserError(
                f"grafting: block takes the place of block, but there are {' and '.join(names)}; choose networks with "
                "as many stages"
            )
        self._host = tuple(theirs)  # a tuple: modules in it are not registered
        self._replaced = replaced
        self._sizes = [(_size(student, stage), _size(host, stage)) for stage in range(len(ours) - 1)]
        self._has_pairs = student.needs_pairs
        self.blocks = nn.ModuleDict({str(number): ours[number] for number in replaced})
        self.adapters = nn.ModuleDict()
        for number in replaced:
            if number > 0:
                self.adapters[f"t2s{number}"] = _conv1x1(_channels(host, number - 1), _channels(student, number - 1))
            if number < len(ours) - 1:
                self.adapters[f"s2t{number}"] = _conv1x1(_channels(student, number), _channels(host, number))
        self.measure_shapes()

    def forward(self, images: Tensor) -> Outputs:
        x = self.prepare(images)
        said: list[Tensor] = []
        for number, host_block in enumerate(self._host):
            if number in self._replaced:
                if number > 0:
                    x = self.adapters[f"t2s{number}"](resized_map(x, self._sizes[number - 1][0]))
                x = self.blocks[str(number)](x)
                said.append(x)
                if number < len(self._host) - 1:
                    x = self.adapters[f"s2t{number}"](x)
            else:
                x = host_block(resized_map(x, self._sizes[number - 1][1]) if number > 0 else x)
                said.append(x)
        return _outputs(self, said)

    @property
    def needs_pairs(self) -> bool:
        """As the student's, whichever blocks are replaced: grafted networks in one run see the same batches."""
        return self._has_pairs

    def deployed(self) -> Network:
        """The :class:`Chain` that says the same, once every block is replaced."""
        if len(self._replaced) < len(self._host):
            return self
        blocks = [self.blocks[str(number)] for number in self._replaced]
        joints = [
            as_one_convolution(self.adapters[f"s2t{number}"], self.adapters[f"t2s{number + 1}"])
            for number in self._replaced[:-1]
        ]
        chain = Chain(self.blueprint, blocks, joints).train(self.training)
        chain.shapes = self.shapes
        return chain

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        raise AssertionError("a network that still needs its host is not exported")


class Chain(Network):
    """A student's blocks, joined by 1x1 convolutions: what grafting leaves.

    Args:
        blueprint: of the student.
        blocks: from the image to the logits.
        joints: between a block and the next.
    """

    def __init__(self, blueprint: Blueprint, blocks: Sequence[nn.Module], joints: Sequence[nn.Module]) -> None:
        super().__init__(blueprint)
        self.blocks = nn.ModuleList(blocks)
        self.joints = nn.ModuleList(joints)
        self.has_new_head = False

    @classmethod
    def unfilled(cls, student: Network) -> Self:
        """Of a student's blocks and joints of any weights, to load into."""
        stages = len(blocks := blocks_of(student)) - 1
        widths = [_channels(student, stage) for stage in range(stages)]
        chain = cls(student.blueprint, blocks, [_conv1x1(width, width) for width in widths])
        chain.measure_shapes()
        return chain

    def forward(self, images: Tensor) -> Outputs:
        x = self.prepare(images)
        said: list[Tensor] = []
        for joint, block in zip([nn.Identity(), *self.joints], self.blocks, strict=True):
            x = block(joint(x))
            said.append(x)
        return _outputs(self, said)

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        """Write what :func:`preceptor.composed.load_network` loads; timm has no name for it."""
        architecture = self.blueprint.spec.architecture.partition(".")[0]
        note = f"{architecture} grafted block by block: load it with preceptor.composed.load_network"
        own = {**self.blueprint.to_json(), **images.described(self.blueprint), "note": note, "chain": True}
        config = {"architecture": note, "label_names": list(self.blueprint.classes), OWN_KEY: own}
        save_network(folder, self, config, self.blueprint.classes)


def as_one_convolution(first: nn.Module, second: nn.Module) -> nn.Conv2d:
    r"""One 1x1 convolution that does what ``second`` does after ``first``.

    .. math:: A_2 (A_1 x + b_1) + b_2 = (A_2 A_1)\, x + (A_2 b_1 + b_2)
    """
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    a1, a2 = (conv.weight.detach().double().flatten(1) for conv in (first, second))
    b1, b2 = (conv.bias.detach().double() for conv in (first, second) if conv.bias is not None)
    one = _conv1x1(first.in_channels, second.out_channels).to(first.weight)
    with torch.no_grad():
        one.weight.copy_((a2 @ a1)[:, :, None, None])
        assert one.bias is not None
        one.bias.copy_(a2 @ b1 + b2)
    return one


def resized_map(feature_map: Tensor, size: MapSize) -> Tensor:
    """A map at another height and width: averaged where it shrinks in both, else bilinear; as it is where it fits."""
    if feature_map.shape[-2:] == size:
        return feature_map
    if feature_map.shape[-2] >= size[0] and feature_map.shape[-1] >= size[1]:
        return F.adaptive_avg_pool2d(feature_map, size)
    return F.interpolate(feature_map, size=size, mode="bilinear")


def _conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """With bias, which starts at 0; weights start Kaiming normal by fan-out."""
    convolution = nn.Conv2d(inputs, outputs, kernel_size=1)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def _outputs(network: Network, said: Sequence[Tensor]) -> Outputs:
    """Of what each block said, the logits last."""
    *stages, logits = said
    maps = {f"stage{number}": x for number, x in enumerate(stages, start=1)} | {"last": stages[-1]}
    return Outputs(
        logits, mean_over_positions(stages[-1]), {name: x for name, x in maps.items() if network.wants(name)}
    )


def _channels(network: Network, boundary: int) -> int:
    return network.shapes[f"stage{boundary + 1}"][0]


def _size(network: Network, boundary: int) -> MapSize:
    _, height, width = network.shapes[f"stage{boundary + 1}"]
    return height, width

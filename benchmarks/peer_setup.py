"""The peers that can do what a recipe does, from its own weights; see peers.py."""

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from peer_loops import Loop, Offline, Online, Plain, Timm, Together, library_model


def peers_of(networks: Mapping[str, Any], *, online: bool, masks: bool, wanted: Collection[str]) -> dict[str, Loop]:
    """Those of the ``wanted`` peers that can do the work, from the weights of ``networks``."""
    found = _online(networks, wanted) if online else _offline(networks, masks, wanted)
    for peer in found.values():
        if not online:  # there they are preceptor's own networks, which normalise
            peer.mean, peer.std = networks["S1"].mean, networks["S1"].std
    return found


def _online(networks: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Loop]:
    def together() -> Together:
        twins = {name: copy.deepcopy(network) for name, network in networks.items()}
        for twin in twins.values():
            twin.channels_last = False
        return Together(twins).to(memory_format=torch.contiguous_format)

    found: dict[str, Loop] = {}
    if "torchdistill" in wanted:
        from peer_torchdistill import DIVERSE, TorchDistill

        found["torchdistill"] = TorchDistill(DIVERSE, together())
    if "plain loop" in wanted:
        found["plain loop"] = Plain(Online(together()))
    return found


def _offline(networks: Mapping[str, Any], masks: bool, wanted: Collection[str]) -> dict[str, Loop]:
    def pair() -> tuple[nn.Module, nn.Module]:
        return library_model(networks["T"]), library_model(networks["S1"])

    found: dict[str, Loop] = {}
    if "torchdistill" in wanted:
        from peer_torchdistill import KD, MASK_KD, TorchDistill

        teacher, student = pair()
        found["torchdistill"] = TorchDistill(MASK_KD if masks else KD, student, teacher)
    if "timm" in wanted and not masks:
        found["timm"] = Timm(*pair())
    if "plain loop" in wanted:
        found["plain loop"] = Plain(Offline(*pair(), masks))
    return found

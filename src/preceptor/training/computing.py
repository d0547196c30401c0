"""How the networks of a run are computed on this machine."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

from preceptor.cohort.computing import HowComputed
from preceptor.composed.base import ComposedNetwork
from preceptor.errors import UserError
from preceptor.machine.placement import MEASURED_FROM, Placement, placement_for
from preceptor.networks.network import Network
from preceptor.plan.merge import unshared
from preceptor.plan.stage import Stage
from preceptor.training.notes import Notes

DTYPES = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True, slots=True)
class Computing:
    """Puts networks where and how they are computed, as the recipe says or as was measured.

    Args:
        folder: where it is kept what was measured.

    Attributes:
        ways: of networks for which one was measured.
    """

    fabric: Fabric
    notes: Notes
    folder: Path
    placements: dict[str, Placement] = field(default_factory=dict)

    def settled(self, stage: Stage, steps: int) -> Stage:
        """The stage with `placement: auto` made definite; ``steps`` of an epoch tell what measuring is worth."""
        if stage.training.placement != "auto":
            return stage
        pays = stage.phase_end * steps >= MEASURED_FROM and not stage.training.channels_last
        training = stage.training.model_copy(update={"placement": "measured" if pays else "fixed"})
        return replace(stage, training=training)

    def put(self, stage: Stage, name: str, network: Network, steps: int, *, trains: bool) -> None:
        """Lay a network out in memory for a stage whose epochs have ``steps``.

        Raises:
            UserError: what the recipe wants is not possible on this machine.
        """
        if stage.training.placement == "measured" and not isinstance(network, ComposedNetwork):
            self._measure(stage, name, network, steps, trains=trains)
        elif stage.training.channels_last:
            network.to(memory_format=torch.channels_last)
        if stage.training.sync_batchnorm and trains:
            self._synchronise(network)

    def of(self, stage: Stage) -> HowComputed:
        """How the members of a stage, which were put, are computed in a step."""
        placements = {name: self.placements[name] for name in stage.members if name in self.placements}
        return HowComputed(
            precision=DTYPES[stage.training.precision],
            full_precision=frozenset(name for name, placement in placements.items() if not placement.half),
            folded=frozenset(name for name, placement in placements.items() if placement.folded),
            compiled=frozenset(name for name, placement in placements.items() if placement.compiled),
            batch_groups={name: placement.batch_group for name, placement in placements.items()},
        )

    def _measure(self, stage: Stage, name: str, network: Network, steps: int, *, trains: bool) -> None:
        size = stage.training.batch_size // self.fabric.world_size
        network.to(self.fabric.device)
        precision = DTYPES[stage.training.precision]
        found = placement_for(
            network, size, trains=trains, folder=self.folder, precision=precision, epochs=stage.phase_end, steps=steps
        )
        network.channels_last = found.placement.channels_last
        network.to(memory_format=torch.channels_last if found.placement.channels_last else torch.contiguous_format)
        self.placements[name] = found.placement
        self.notes.add(f"{stage.name}: {unshared(name)} is computed {found.words()}")

    def _synchronise(self, network: Network) -> None:
        """BatchNorm over all processes, which torch has for GPUs only."""
        if self.fabric.device.type != "cuda":
            raise UserError("training.sync_batchnorm wants GPUs; leave it out on a CPU")
        from preceptor.networks.libraries import timm

        timm.layers.convert_sync_batchnorm(network)

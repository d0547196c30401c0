"""The frozen networks of a stage, with what is kept of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from preceptor.cohort.cohort import Cohort
from preceptor.cohort.frozen import FixedSize, lies_channels_last
from preceptor.data.augment import as_tensor, to_float
from preceptor.data.batches import Batches
from preceptor.data.order import RowNumbers
from preceptor.data.packed import PackedSet
from preceptor.data.prepare import Prepared
from preceptor.embeddings.store import Embeddings
from preceptor.errors import UserError
from preceptor.files import cache_root, expand
from preceptor.networks.network import Network
from preceptor.plan.stage import Stage
from preceptor.recipe import Recipe
from preceptor.specs import AugmentSpec, CacheSpec
from preceptor.teacher_cache.facts import (
    UNCHANGED,
    arithmetic_facts,
    asked_facts,
    image_keys,
    network_facts,
    pixel_facts,
)
from preceptor.teacher_cache.folder import FOLDER, CacheEntry
from preceptor.teacher_cache.replay import Replay
from preceptor.teacher_cache.stored import StoredTeacher


@dataclass(frozen=True, slots=True)
class Shown:
    """What frozen networks are shown.

    Args:
        rows: of the packed set, of which they are asked at all.
        images: how many of them a process shows in each view.
        views: that are shown.
    """

    packed: PackedSet
    rows: RowNumbers
    images: int
    augment: AugmentSpec
    views: tuple[int, ...]
    device: torch.device


def frozen_of(
    recipe: Recipe,
    stage: Stage,
    cohort: Cohort,
    batches: Batches,
    fabric: Fabric,
    note: Callable[[str], None],
    validation: RowNumbers | None = None,
) -> Replay:
    """What answers for the frozen networks of ``cohort`` while ``stage`` lasts.

    Networks that are built on others are computed from what those say.

    Args:
        validation: rows of which they are asked too, as they are, between epochs.

    Raises:
        UserError: a folder of stored embeddings that is not of these networks and images.
    """
    size = stage.training.batch_size
    ask = _ask(recipe, -(-size // fabric.world_size), cohort.batch_groups)
    asked = {name: cohort.frozen[name] for name in cohort.asked}
    arithmetic = {name: _arithmetic(name, stage, cohort, ask, fabric.device) for name in asked}
    shown = Shown(
        batches.packed,
        batches.rows if validation is None else np.union1d(batches.rows, validation),
        -(-min(len(batches.rows), len(batches) * size) // fabric.world_size),
        recipe.augment,
        tuple(sorted({batches.view(epoch) for epoch in range(stage.first_epoch, stage.last_epoch)})),
        batches.device,
    )
    return _replay(recipe, asked, arithmetic, ask, shown, note)


def probed_of(
    recipe: Recipe, networks: Mapping[str, Network], prepared: Prepared, fabric: Fabric, note: Callable[[str], None]
) -> Replay:
    """What answers for networks whose embeddings of the training and the validation part are wanted, once each.

    Raises:
        UserError: a folder of stored embeddings that is not of these networks and images.
    """
    ask = _ask(recipe, recipe.training.batch_size, {})
    arithmetic = {
        name: arithmetic_facts(
            fabric.device, batch=ask.size(name), precision=None, channels_last=_lies_channels_last(network)
        )
        for name, network in networks.items()
    }
    rows = np.concatenate([prepared.rows["train"], prepared.rows["validation"]])
    shown = Shown(prepared.packed, rows, len(rows), UNCHANGED, (0,), fabric.device)
    return _replay(recipe, networks, arithmetic, ask, shown, note)


def _ask(recipe: Recipe, size: int, batch_groups: Mapping[str, int]) -> FixedSize:
    spec = recipe.training.teacher_cache
    return FixedSize(size, rounds=spec.enabled and spec.dtype == "float16", batch_groups=batch_groups)


def _replay(
    recipe: Recipe,
    asked: Mapping[str, Network],
    arithmetic: Mapping[str, Mapping[str, Any]],
    ask: FixedSize,
    shown: Shown,
    note: Callable[[str], None],
) -> Replay:
    spec = recipe.training.teacher_cache
    replay = Replay(ask, note, budget=spec.budget * 2**30)
    if not asked:
        return replay
    read = _read_stored(spec, asked, arithmetic, ask, shown, replay)
    pixels = pixel_facts(shown.packed.placing, shown.augment, recipe.seed)
    keys = image_keys(shown.packed, shown.augment)
    for name, network in asked.items() if spec.enabled else ():
        if name in read:
            continue
        facts = {"network": asked_facts(network), "pixels": pixels, "arithmetic": arithmetic[name], "dtype": spec.dtype}
        kept = CacheEntry(cache_root(recipe.data.cache) / FOLDER, facts, name, str(shown.packed.folder))
        replay.add(name, network, kept, keys=keys, images=shown.images)
    replay.plan(shown.views)
    return replay


def _arithmetic(name: str, stage: Stage, cohort: Cohort, ask: FixedSize, device: torch.device) -> dict[str, Any]:
    """How a network is computed in a stage."""
    network = cohort.frozen[name]
    return arithmetic_facts(
        device,
        batch=ask.size(name),
        precision=cohort.computing.precision_of(name),
        channels_last=stage.training.channels_last or _lies_channels_last(network),
        folded=name in cohort.computing.folded,
        compiled=name in cohort.computing.compiled,
    )


def _lies_channels_last(network: Network) -> bool:
    return any(map(lies_channels_last, network.parameters()))


def _read_stored(
    spec: CacheSpec,
    asked: Mapping[str, Network],
    arithmetic: Mapping[str, Mapping[str, Any]],
    ask: FixedSize,
    shown: Shown,
    replay: Replay,
) -> set[str]:
    """Let stored embeddings answer for the networks that they are of; the names of these.

    Raises:
        UserError: a folder is of none of them, or not of these images.
    """
    folders = [Embeddings.open(expand(path)) for path in spec.stored]
    known = {name: network_facts(network, whole=False) for name, network in asked.items()} if folders else {}
    packed, read = shown.packed, set()
    keys = image_keys(packed, UNCHANGED) if folders else None
    for folder in folders:
        own = "space" not in folder.facts  # in another's it is not what the network says
        names = [name for name in known if own and known[name]["weights"] == folder.facts["network"]["weights"]]
        if not names:
            here = " and ".join(f"{name} ({network.called})" for name, network in asked.items())
            raise UserError(
                f"training.teacher_cache.stored: {folder.folder} is of {folder.about['network']} with other weights "
                f"than {here} has. Embed by this recipe: `preceptor embed RECIPE FOLDER --out …`"
            )
        for name in names:
            assert keys is not None, "there are folders"
            live = {
                "network": known[name],
                "pixels": pixel_facts(packed.placing, UNCHANGED, 0),
                "arithmetic": arithmetic[name],
                "dtype": "float16" if ask.rounds else "float32",
            }
            teacher = StoredTeacher(name, asked[name], folder, keys=keys, rows=shown.rows, live=live, note=replay.say)
            first = np.sort(shown.rows)[: ask.size(name)]
            images = to_float(as_tensor(packed.read(first)[0])).to(shown.device)
            with torch.no_grad():
                teacher.compare(first, ask.compute(name, asked[name].to(shown.device), images))
            replay.read(teacher)
            read.add(name)
    return read

"""The frozen networks of a stage, with what is kept of them."""

from collections.abc import Callable

from lightning_fabric import Fabric

from preceptor.cohort.cohort import Cohort
from preceptor.cohort.frozen import FixedSize, lies_channels_last
from preceptor.data.batches import Batches
from preceptor.files import cache_root
from preceptor.plan.stage import Stage
from preceptor.recipe import Recipe
from preceptor.teacher_cache.facts import arithmetic_facts, image_keys, network_facts, pixel_facts
from preceptor.teacher_cache.folder import FOLDER, CacheEntry
from preceptor.teacher_cache.replay import Replay


def frozen_of(
    recipe: Recipe, stage: Stage, cohort: Cohort, batches: Batches, fabric: Fabric, note: Callable[[str], None]
) -> Replay:
    """What answers for the frozen networks of ``cohort`` while ``stage`` lasts.

    Networks that are built on others are computed from what those say.
    """
    spec, training = recipe.training.teacher_cache, stage.training
    size = -(-training.batch_size // fabric.world_size)
    ask = FixedSize(size, rounds=spec.enabled and spec.dtype == "float16", batch_groups=cohort.batch_groups)
    replay = Replay(ask, note, budget=spec.budget * 2**30)
    if not cohort.asked or not spec.enabled:
        return replay
    packed = batches.packed
    pixels = pixel_facts(packed.placing, recipe.augment, recipe.seed)
    keys = image_keys(packed, recipe.augment)
    shown = min(len(batches.rows), len(batches) * training.batch_size)
    for name in cohort.asked:
        network = cohort.frozen[name]
        layout = training.channels_last or any(map(lies_channels_last, network.parameters()))
        precision = cohort.computing.precision_of(name)
        arithmetic = arithmetic_facts(
            fabric.device,
            batch=ask.size(name),
            precision=precision,
            channels_last=layout,
            folded=name in cohort.computing.folded,
            compiled=name in cohort.computing.compiled,
        )
        known = network_facts(network, whole=not network.has_new_head)
        facts = {"network": known, "pixels": pixels, "arithmetic": arithmetic, "dtype": spec.dtype}
        kept = CacheEntry(cache_root(recipe.data.cache) / FOLDER, facts, name, str(packed.folder))
        replay.add(name, network, kept, keys=keys, images=-(-shown // fabric.world_size))
    replay.plan(sorted({batches.view(epoch) for epoch in range(stage.first_epoch, stage.last_epoch)}))
    return replay

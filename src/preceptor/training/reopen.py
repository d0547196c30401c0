"""A stage of a finished run as training left it."""

from dataclasses import replace
from pathlib import Path

from lightning_fabric import Fabric

from preceptor.cohort.cohort import Cohort
from preceptor.data.batches import Batches
from preceptor.data.prepare import Prepared
from preceptor.errors import UserError
from preceptor.plan.stage import Stage
from preceptor.recipe import Recipe
from preceptor.training.run import run_of
from preceptor.training.run_folder import RunFolder


def last_stage(recipe: Recipe, prepared: Prepared, fabric: Fabric, path: Path) -> tuple[Stage, Cohort, Batches]:
    """The last stage of the run in ``path`` with its networks, edges and batches; nothing is written there.

    Networks have their last weights, which need not be those that were chosen by validation, and compute in float32.

    Raises:
        UserError: the stage's last checkpoint is not in the run folder.
    """
    run = run_of(recipe, prepared, fabric, path)
    planned = run.plan.stages[-1]
    folder = RunFolder(path, recipe, writes=False)
    checkpoint = folder.last(planned.name)
    if not checkpoint.exists():
        raise UserError(
            f"{checkpoint.relative_to(path)} is not there: it was deleted, or the run was trained together "
            "with others, which keep their checkpoints in common"
        )
    plainly = {"precision": "32-true", "placement": "fixed", "sync_batchnorm": False}
    stage = run.decided(replace(planned, training=planned.training.model_copy(update=plainly)))
    cohort = run.cohort(stage)
    cohort.load_state_dict(folder.load(checkpoint)["cohort"])
    cohort.to_device(fabric.device)
    return stage, cohort, run.batches(stage, cohort)

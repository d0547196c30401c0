"""The last stage of a finished run as training left it."""

from dataclasses import replace

from preceptor.cohort.cohort import Cohort
from preceptor.data.batches import Batches
from preceptor.errors import UserError
from preceptor.plan.stage import Plan, Stage
from preceptor.training.build import StageBuilder


def last_stage(builder: StageBuilder, plan: Plan) -> tuple[Stage, Cohort, Batches]:
    """The last stage of ``plan`` with its networks, edges and batches.

    Networks have their last weights, which need not be those that were chosen by validation, and compute in float32.

    Raises:
        UserError: the stage's last checkpoint is not in the run folder.
    """
    planned = plan.stages[-1]
    checkpoints, fabric = builder.checkpoints, builder.fabric
    path = checkpoints.last(planned.name)
    if not path.exists():
        raise UserError(
            f"{path.relative_to(checkpoints.folder.path)} is not there: it was deleted, or the run was trained "
            "together with others, which keep their checkpoints in common"
        )
    plainly = {"precision": "32-true", "placement": "fixed", "sync_batchnorm": False}
    stage = builder.decided(replace(planned, training=planned.training.model_copy(update=plainly)))
    cohort = builder.cohort(stage)
    cohort.load_state_dict(checkpoints.load(path)["cohort"])
    cohort.to_device(fabric.device)
    return stage, cohort, builder.batches(stage, cohort)

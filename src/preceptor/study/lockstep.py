"""Which runs of a study can be trained as one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from preceptor.plan.cast import Usual
from preceptor.plan.merge import frame_of, why_unshared
from preceptor.study.plan import Job, all_but_technique


def lockstep(jobs: Sequence[Job]) -> dict[str, tuple[Job, ...]]:
    """For each job, by id, the jobs that are trained with it, itself among them; the same whatever is done already.

    Runs go together that differ in their technique alone and wait for the same jobs. What acts on all networks of a
    cohort at once (updates in turn, patience, a scaled loss) keeps a run by itself, and a loss that drops incomplete
    batches keeps away those that see them.
    """
    groups: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(_key(job), []).append(job)
    return {job.id: tuple(group) for group in groups.values() for job in group}


def _key(job: Job) -> tuple[object, ...]:
    training = job.recipe.training
    if job.kind != "run" or training.patience is not None or training.precision == "16-mixed":
        return (job.id,)
    planned = job.recipe_in(Path()).plan(Usual(trained=False))
    if why_unshared(planned):
        return (job.id,)
    stage = planned.stages[0]
    whole_batches = any(edge.loss.entry.keeps_batch for edge in stage.edges)
    return (
        *sorted(job.teachers),
        "after",
        *sorted(job.after),
        whole_batches,
        frame_of(planned.stages[0]),
        all_but_technique(job.recipe),
    )


def name_of(group: Sequence[Job]) -> str:
    """Of the folder in which a group trains."""
    digest = hashlib.sha256("\n".join(job.id for job in group).encode()).hexdigest()[:8]
    return f"seed{group[0].seed}-{digest}"

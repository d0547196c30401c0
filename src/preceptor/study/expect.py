"""The kinds of jobs of a study, each measured once: runs that differ in nothing that costs time, memory or disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from preceptor.plan.cast import Usual
from preceptor.plan.stage import Stage
from preceptor.study.plan import Job, stages_before


@dataclass(frozen=True, slots=True)
class EqualJobs:
    """Jobs that are alike up to their seed and fold.

    Args:
        stages: that they train.
        spared: names of stages that finished jobs spare them.
    """

    jobs: tuple[Job, ...]
    stages: tuple[Stage, ...]
    spared: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the kind, by its first job."""
        first = self.jobs[0]
        words = " ".join(([] if first.kind == "run" else [first.kind]) + list(first.cell.values()))
        others = len({tuple(job.cell.items()) for job in self.jobs}) - 1
        return words + (f" and {others} alike" if others else "")


def kinds_of(jobs: Sequence[Job]) -> list[EqualJobs]:
    """``jobs`` by what they train: equal plans on equally many equal images are one kind."""
    found: dict[tuple[object, ...], EqualJobs] = {}
    for job in jobs:
        recipe = job.recipe
        spared = tuple(stage.name for stage in stages_before(recipe)) if job.teachers else ()
        stages = tuple(one for one in recipe.plan(Usual(trained=False)).stages if one.name not in spared)
        split = recipe.split.model_copy(update={"seed": None, "fold": 0})
        key = (stages, recipe.task, split, recipe.augment, recipe.task_loss, recipe.data.model_dump_json())
        before = found[key].jobs if key in found else ()
        found[key] = EqualJobs((*before, job), stages, spared)
    return list(found.values())
